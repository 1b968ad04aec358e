/** @file Sums of columns, computed by the native library. */
import { floats } from '../../record/kernel.js';
import type { GraphBuilder } from '../graph_builder.js';

/** Sum over the rows of [N, C]. Returns [C]. */
export function columnSums(g: GraphBuilder, x: string, [N, C]: readonly number[]): string {
  return g.native('ColumnSums', [x], { results: [floats([C])], ints: [N, C] })[0];
}

/** @file Sums of columns, computed by the native library. */
import { floats } from '../../record/kernel.js';
import type { GraphBuilder } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';

/** Sum over the rows of [N, C]. Returns [C]. */
export function columnSums(g: GraphBuilder, x: string, [N, C]: readonly number[]): string {
  return g.native('ColumnSums', [x], { results: [floats([C])], ints: [N, C] })[0];
}

export const nativeColumnSums = fusedKernel('ColumnSums', {
  results: ({ x }) => [floats([x.shape[1]])],
  lower: (g, { x }) => [columnSums(g, x.name, x.shape)],
});

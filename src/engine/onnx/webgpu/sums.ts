/** @file Sums over the rows of long matrices on a GPU. */
import type { GraphBuilder } from '../graph_builder.js';

/** Sums that are computed at a time: enough to keep a GPU busy. */
const MAX_SUMS = 2 ** 14;

/**
 * The sum over the rows of [N, C], as products with ones: of runs of rows first, because the provider computes a sum, however
 * long, by one work group. Returns [C].
 */
export function sumOfRows(g: GraphBuilder, x: string, [N, C]: readonly number[]): string {
  const runs = largestDivisor(N, Math.floor(Math.min(MAX_SUMS / C, Math.sqrt(N))));
  const onesOf = (count: number) => g.op('Expand', [g.scalar(1), g.ints([1, 1, count])]);
  const ofRuns = g.op('MatMul', [onesOf(N / runs), g.view(x, [runs, N / runs, C])]);
  const sum = runs === 1 ? ofRuns : g.op('MatMul', [onesOf(runs), g.reshape(ofRuns, [1, runs, C])]);
  return g.reshape(sum, [C]);
}

/** The largest divisor of n up to `limit`; 1 if there is none. */
function largestDivisor(n: number, limit: number): number {
  for (let divisor = limit; divisor > 1; divisor--) if (n % divisor === 0) return divisor;
  return 1;
}

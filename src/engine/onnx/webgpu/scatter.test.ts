/** @file Sums of rows by index on a GPU: precise, the same bits in every run, and NaN is not lost. */
import { beforeAll, expect, it } from 'vitest';
import { describeOnGpu } from '../../../../test/support/gpu.js';
import { runKernel } from '../../../../test/support/run_kernel.js';
import { Rng } from '../../../util/random.js';
import { selectEngine } from '../../index.js';
import { tf } from '../../tfjs.js';

/** Rows to add, [count, columns], each at its index. */
interface Terms {
  readonly values: Float32Array;
  readonly indices: Int32Array;
  readonly columns: number;
}

/** Adds up with the engine, to zeros [rows, columns]. */
function sums({ values, indices, columns }: Terms, rows: number): Float32Array {
  return tf.tidy(() => {
    const table = tf.tensor2d(values, [indices.length, columns]);
    return tf.unsortedSegmentSum(table, tf.tensor1d(indices, 'int32'), rows).dataSync() as Float32Array;
  });
}

/** The sums in double precision, and the largest term of each row. */
function reference({ values, indices, columns }: Terms, rows: number) {
  const totals = new Float64Array(rows * columns);
  const largest = new Float64Array(rows);
  for (const [i, value] of values.entries()) {
    const row = indices[Math.floor(i / columns)];
    totals[row * columns + (i % columns)] += value;
    largest[row] = Math.max(largest[row], Math.abs(value));
  }
  return { totals, largest };
}

/** The largest error, in units of the largest term or sum of its row. */
function errorOf(terms: Terms, rows: number): number {
  const { totals, largest } = reference(terms, rows);
  return sums(terms, rows).reduce((worst, sum, i) => {
    const unit = Math.max(largest[Math.floor(i / terms.columns)], Math.abs(totals[i]));
    return Math.max(worst, unit === 0 ? Math.abs(sum) : Math.abs(sum - totals[i]) / unit);
  }, 0);
}

function randomTerms(count: number, columns: number, draw: (rng: Rng, row: number) => number): Terms {
  const rng = new Rng(4);
  const indices = Int32Array.from({ length: count }, () => rng.int(7));
  const values = Float32Array.from({ length: count * columns }, (_, i) =>
    draw(rng, indices[Math.floor(i / columns)]),
  );
  return { values, indices, columns };
}

describeOnGpu('sums of rows by index', () => {
  beforeAll(async () => {
    await selectEngine({ engine: 'onnx', device: 'gpu', strict: true });
  });

  it.each<[string, number, (rng: Rng, row: number) => number]>([
    ['of numbers of one size', 60, (rng) => rng.normal()],
    ['of thousands of rows at one index', 30_000, (rng) => rng.normal()],
    ['of positive numbers', 30_000, (rng) => rng.uniform()],
    ['of rows from 1e-12 to 1', 600, (rng, row) => 10 ** (-2 * row) * rng.normal()],
    [
      'of numbers from 1e-12 to 1 in every row',
      600,
      (rng) => 10 ** rng.uniformBetween(-12, 0) * rng.normal(),
    ],
    ['of numbers around 1e30', 600, (rng) => 1e30 * rng.normal()],
    ['of numbers around 1e-25', 600, (rng) => 1e-25 * rng.normal()],
    ['of zeros', 60, () => 0],
  ])('have an error below 1e-6 of the largest term: %s', (_, count, draw) => {
    expect(errorOf(randomTerms(count, 3, draw), 9)).toBeLessThan(1e-6);
  });

  it('of numbers around 1e-30 stay near 0 or are right', () => {
    const terms = randomTerms(60, 3, (rng) => 1e-30 * rng.normal());
    const { totals } = reference(terms, 7);
    for (const [i, sum] of sums(terms, 7).entries()) expect(Math.abs(sum - totals[i])).toBeLessThan(1e-33);
  });

  it('have the same bits in every run', () => {
    const terms = randomTerms(20_000, 5, (rng) => rng.normal());
    const first = sums(terms, 7);
    for (let run = 0; run < 5; run++) expect(sums(terms, 7)).toEqual(first);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('are NaN if a term is %d', (bad) => {
    const terms = randomTerms(60, 3, (rng) => rng.normal());
    terms.values[100] = bad;
    const row = terms.indices[Math.floor(100 / 3)];
    expect(sums(terms, 7)[3 * row + 1]).toBeNaN();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('are NaN if a factor is %d', (bad) => {
    const index = { shape: [2, 2], data: Int32Array.of(0, 1, 1, 3) };
    const weight = { shape: [2, 2], data: Float32Array.of(1, bad, 1, 1) };
    const dy = { shape: [2, 3], data: new Float32Array(6) };
    const [slopes] = runKernel('WeightedRowSumGradTable', { index, weight, dy }, { shape: [4, 3] });
    expect(slopes[3]).toBeNaN();
  });

  it('leave out rows whose index is not one of the result', () => {
    const terms = { values: Float32Array.of(1, 2, 3, 4), indices: Int32Array.of(1, -1, 5, 2), columns: 1 };
    expect(Array.from(sums(terms, 2))).toEqual([0, 1]);
  });
});

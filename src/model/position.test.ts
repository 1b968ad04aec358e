/** @file Position tables: resizing is differentiable, keeps constants, and takes each time step by itself. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { cubicMatrix, resizePositions, sinusoidTable } from './position.js';

const read = (f: () => tf.Tensor) => {
  const y = tf.tidy(f);
  const data = Array.from(y.dataSync());
  y.dispose();
  return data;
};

describe('sinusoidTable', () => {
  it('has sines at even and cosines at odd features', () => {
    const [positions, features] = [40, 6];
    const table = sinusoidTable(positions, features);
    for (const p of [0, 1, 39]) {
      for (let i = 0; i < features / 2; i++) {
        const angle = p / 10000 ** ((2 * i) / features);
        expect(table[p * features + 2 * i]).toBeCloseTo(Math.sin(angle), 6);
        expect(table[p * features + 2 * i + 1]).toBeCloseTo(Math.cos(angle), 6);
      }
    }
  });
});

describe('cubicMatrix', () => {
  it.each([
    [14, 14],
    [14, 7],
    [14, 28],
    [14, 22],
    [2, 5],
    [1, 3],
  ])('has rows that sum to one and mirrored ends, from %i to %i', (from, to) => {
    const matrix = cubicMatrix(from, to);
    for (let i = 0; i < to; i++) {
      const row = Array.from(matrix.subarray(i * from, (i + 1) * from));
      expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
      const mirrored = Array.from(matrix.subarray((to - 1 - i) * from, (to - i) * from)).reverse();
      for (const [j, weight] of row.entries()) expect(weight).toBeCloseTo(mirrored[j], 6);
    }
  });

  it('is the identity if the size stays the same', () => {
    const matrix = cubicMatrix(5, 5);
    for (const [i, weight] of matrix.entries()) expect(weight).toBeCloseTo(i % 6 === 0 ? 1 : 0, 7);
  });

  it('uses the cubic kernel with a = −0.75', () => {
    // Output 2 of 8 from 4 lies at (2 + ½)/2 − ½ = 0.75: distances 1.75, 0.75, 0.25, 1.25 to 0 (twice, the edge), 1, 2.
    const row = cubicMatrix(4, 8).subarray(2 * 4, 3 * 4);
    const a = -0.75;
    const far = (d: number) => a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a;
    const near = (d: number) => (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
    const expected = [far(1.75) + near(0.75), near(0.25), far(1.25), 0];
    for (const [i, weight] of expected.entries()) expect(row[i]).toBeCloseTo(weight, 6);
  });
});

describe('resizePositions', () => {
  const rng = new Rng(1);

  it.each([
    [3, 5],
    [1, 4],
    [4, 1],
    [2, 4],
  ])('has the right gradient to %i×%i', (h, w) => {
    expectGradients((table) => resizePositions(table, 2, h, w), [normals([3 * 4, 2], rng)]);
  });

  it('resizes height and width separately, and mixes no time steps', () => {
    const [T, grid, h, w] = [2, 3, 2, 5];
    // 100·time + row for every column: after resizing, columns stay equal, rows differ.
    const rows = Float32Array.from(
      { length: T * grid * grid },
      (_, i) => 100 * Math.floor(i / 9) + (Math.floor(i / 3) % 3),
    );
    const resized = read(() => resizePositions(tf.tensor(rows, [rows.length, 1]), grid, h, w));
    expect(resized.length).toBe(T * h * w);
    const alongH = cubicMatrix(grid, h);
    for (const [i, value] of resized.entries()) {
      const [t, row] = [Math.floor(i / (h * w)), Math.floor(i / w) % h];
      expect(value).toBeCloseTo(100 * t + alongH[row * 3 + 1] + 2 * alongH[row * 3 + 2], 4);
    }
  });

  it('returns the table itself for its own grid', () => {
    const table = tf.zeros([2 * 9, 4]);
    expect(resizePositions(table, 3, 3, 3)).toBe(table);
    table.dispose();
  });
});

/** @file Sampling of the pyramid against plain loops in double precision, and its gradients. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values, values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { backward } from '../nn/tape.js';
import { Rng } from '../util/random.js';
import { levelWeights, makeFeatureTable, makeSamplePoints, samplePoints } from './sampling.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

const [B, T, C, G, Q, P] = [2, 2, 4, 2, 2, 3];
const strides = [4, 8];
const sizes = [
  [4, 6],
  [2, 3],
];
const [height, width] = [16, 24];
const rng = new Rng(1);
const maps = sizes.map(([h, w]) => normals([B, T, h, w, C], rng));

const sample = (points: tf.Tensor, ...features: tf.Tensor[]) =>
  samplePoints(makeFeatureTable(features, strides, G), points);

/** A coordinate that is at least `margin` cells away from the pixel centres of every level. */
function betweenCentres(low: number, high: number, margin: number): number {
  for (;;) {
    const x = rng.uniformBetween(low, high);
    const clear = strides.every((stride) => {
      const fraction = x / stride - 0.5 - Math.floor(x / stride - 0.5);
      return fraction > margin && fraction < 1 - margin;
    });
    if (clear) return x;
  }
}

/** The definition: weighted bilinear samples with zeros outside, [B, Q, G, P, T, D] flattened. */
function reference(points: Float32Array): number[] {
  const D = C / G;
  const out: number[] = [];
  const count = points.length / 3;
  for (let n = 0; n < count; n++) {
    const [x, y, z] = points.subarray(3 * n, 3 * n + 3);
    const b = Math.floor(n / (count / B));
    const g = Math.floor((n % (G * P)) / P);
    const raw = strides.map((_, l) => Math.exp(-((z - 3 - l) ** 2) / 2));
    const total = raw.reduce((sum, value) => sum + value, 0);
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < D; d++) {
        let sum = 0;
        for (const [l, stride] of strides.entries()) {
          const [H, W] = sizes[l];
          const [row, column] = [y / stride - 0.5, x / stride - 0.5];
          for (let i = Math.floor(row); i <= Math.floor(row) + 1; i++) {
            for (let j = Math.floor(column); j <= Math.floor(column) + 1; j++) {
              if (i < 0 || j < 0 || i >= H || j >= W) continue;
              const bilinear = (1 - Math.abs(row - i)) * (1 - Math.abs(column - j));
              const feature = maps[l].data[(((b * T + t) * H + i) * W + j) * C + g * D + d];
              sum += (raw[l] / total) * bilinear * feature;
            }
          }
        }
        out.push(sum);
      }
    }
  }
  return out;
}

/** Samples of the maps at host points [B, Q, G·P, 3]. */
function sampled(points: Float32Array): Float32Array {
  const y = tf.tidy(() => sample(tf.tensor(points, [B, Q, G * P, 3]), ...maps.map(tensor)));
  expect(y.shape).toEqual([B * Q * G, P, T, C / G]);
  const data = y.dataSync() as Float32Array;
  y.dispose();
  return data;
}

describe('samplePoints', () => {
  it.each([
    ['inside', 2, width - 2, 2, height - 2],
    ['around the border', -6, width + 6, -6, height + 6],
    ['far outside', 1000, 2000, -2000, -1000],
  ])('samples points %s as defined', (_, left, right, top, bottom) => {
    const points = Float32Array.from({ length: B * Q * G * P * 3 }, (_, i) =>
      i % 3 === 0
        ? rng.uniformBetween(left, right)
        : i % 3 === 1
          ? rng.uniformBetween(top, bottom)
          : rng.uniformBetween(1, 7),
    );
    const expected = reference(points);
    for (const [i, value] of sampled(points).entries()) expect(value).toBeCloseTo(expected[i], 4);
  });

  it('returns the features themselves at pixel centres, first and last ones included', () => {
    const [first, last] = [
      [2, 2],
      [width - 2, height - 2],
    ];
    // Level −100 is all on the finest map.
    const points = Array.from({ length: B * Q * G * P }, (_, n) => [...(n % 2 ? last : first), -100]).flat();
    const data = sampled(Float32Array.from(points));
    const [H, W] = sizes[0];
    for (const [i, value] of data.entries()) {
      const [d, t, p] = [i % 2, Math.floor(i / 2) % T, Math.floor(i / (2 * T))];
      const [g, b] = [Math.floor(p / P) % G, Math.floor(p / (P * G * Q))];
      const position = p % 2 ? H * W - 1 : 0;
      expect(value).toBeCloseTo(maps[0].data[((b * T + t) * H * W + position) * C + (g * C) / G + d], 5);
    }
  });

  it('has the right gradients for points and maps, inside, on the border and outside', () => {
    const points = values(
      [B, Q, G * P, 3],
      Array.from({ length: B * Q * G * P * 3 }, (_, i) =>
        i % 3 === 0
          ? betweenCentres(-5, width + 5, 0.15)
          : i % 3 === 1
            ? betweenCentres(-5, height + 5, 0.15)
            : rng.uniformBetween(2, 6),
      ),
    );
    expectGradients(sample, [points, ...maps]);
  });

  it('has the right gradients for boxes and offsets through the points', () => {
    const boxes = values(
      [B, Q, 4],
      Array.from({ length: B * Q }, () => [
        12,
        8,
        rng.uniformBetween(2, 4),
        rng.uniformBetween(-1, 1),
      ]).flat(),
    );
    const offsets = values(
      [B, Q, G * P * 3],
      Array.from({ length: B * Q * G * P }, (_, n) => {
        // The offset that leads to a point clear of the kinks, from the box of its query.
        const [x, y, z, r] = boxes.data.subarray(4 * Math.floor(n / (G * P)));
        const [w, h] = [2 ** (z - r / 2), 2 ** (z + r / 2)];
        return [
          (betweenCentres(0, width, 0.2) - x) / w,
          (betweenCentres(0, height, 0.2) - y) / h,
          rng.normal(),
        ];
      }).flat(),
    );
    const f = (offset: tf.Tensor, xyzr: tf.Tensor) =>
      sample(makeSamplePoints(offset, xyzr), ...maps.map(tensor));
    expectGradients(f, [offsets, boxes], { step: 2e-3 });
  });

  it('confines a NaN point to its own sample', () => {
    const points = new Float32Array(B * Q * G * P * 3).fill(5);
    points.fill(Number.NaN, 3, 6);
    points.fill(1e30, 6, 8);
    const features = maps.map(tensor);
    const { value, grads } = backward(
      () => sample(tf.tensor(points, [B, Q, G * P, 3]), ...features).sum() as tf.Scalar,
      features,
    );
    const data = sampled(points);
    expect(Array.from(data.subarray(T * 2, 2 * T * 2)).every(Number.isNaN)).toBe(true);
    expect(Array.from(data.subarray(0, T * 2)).every(Number.isFinite)).toBe(true);
    expect(Array.from(data.subarray(2 * T * 2)).every(Number.isFinite)).toBe(true);
    tf.dispose([value, ...features, ...(grads as tf.Tensor[])]);
  });
});

describe('makeSamplePoints', () => {
  it('has the right gradients for offsets and boxes', () => {
    expectGradients(makeSamplePoints, [normals([2, 2, 12], rng), normals([2, 2, 4], rng)]);
  });

  it('puts a point at centre + offset · size of its box', () => {
    // 2³ = 8 pixels side, twice as high as wide: 8/√2 × 8·√2.
    const y = tf.tidy(() =>
      makeSamplePoints(tf.tensor([[[0.5, -0.25, 2, 0, 0, 0]]]), tf.tensor([[[10, 20, 3, 1]]])),
    );
    expect(y.shape).toEqual([1, 1, 2, 3]);
    const [x, yy, level, ...second] = y.dataSync();
    expect(x).toBeCloseTo(10 + 0.5 * (8 / Math.SQRT2), 5);
    expect(yy).toBeCloseTo(20 - 0.25 * 8 * Math.SQRT2, 5);
    expect(level).toBe(5);
    expect(second).toEqual([10, 20, 3]);
    y.dispose();
  });
});

describe('levelWeights', () => {
  it('has the right gradient', () => {
    expectGradients((level) => levelWeights(level, 4), [normals([6, 1], rng, 2)]);
  });

  it('sums to one, is symmetric around a level and prefers the nearest', () => {
    const y = tf.tidy(() => levelWeights(tf.tensor([[3], [4.5], [100], [-100]]), 4));
    const rows = y.arraySync() as number[][];
    y.dispose();
    for (const row of rows) expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
    expect(rows[0][0] / rows[0][1]).toBeCloseTo(Math.exp(0.5), 5);
    expect(rows[1][1]).toBeCloseTo(rows[1][2], 6);
    expect(rows[2][3]).toBeCloseTo(1, 6);
    expect(rows[3][0]).toBeCloseTo(1, 6);
  });
});

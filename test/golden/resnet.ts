/** @file Reading the reference data of ResNet backbones: weights from a hash, rows of statistics, and the rules of comparison. */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type Config, configFromOverrides, loadConfig } from '../../src/config/index.js';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import type { BatchStatistics } from '../../src/nn/batch_norm.js';
import type { Module } from '../../src/nn/module.js';
import { type Golden, goldenJson, goldenTensors } from './golden.js';

export const resnetJson = (name: string) => goldenJson(`resnet/${name}`);
export const resnetTensors = (name: string) => goldenTensors(`resnet/${name}`);

/** An official configuration with other values at some paths. Rules across keys are not checked. */
export function officialConfig(name: string, overrides: Readonly<Record<string, unknown>> = {}): Config {
  const file = fileURLToPath(new URL(`../../config_files/${name}`, import.meta.url));
  return configFromOverrides(overrides, loadConfig(file).config);
}

/** Values of the hash of a name: multiples of 2^-11 in [-1/2, 1/2), times `scale`, plus `offset`. */
export function hashed(
  name: string,
  seed: number,
  { size, scale, offset = 0 }: { size: number; scale: number; offset?: number },
): Float32Array {
  const GOLDEN_RATIO = 0x9e3779b1;
  let f = 0x811c9dc5;
  for (const byte of Buffer.from(name)) f = Math.imul(f ^ byte, 0x01000193) >>> 0;
  const start = (f + Math.imul(seed, GOLDEN_RATIO)) >>> 0;
  return Float32Array.from({ length: size }, (_, i) => {
    let x = (start + Math.imul(i, GOLDEN_RATIO)) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    return ((x >>> 21) / 2048 - 0.5) * scale + offset;
  });
}

/** A row of a table of weights. */
export interface WeightRow {
  readonly name: string;
  readonly shape?: readonly number[];
  /** Null if the file holds the tensor. */
  readonly scale: number | null;
  readonly offset: number | null;
}

/** The rows of a table, whatever its columns. */
export function weightRows({ columns, tensors }: { columns: string[]; tensors: unknown[][] }): WeightRow[] {
  return tensors.map(
    (row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])) as unknown as WeightRow,
  );
}

/** Sets the state of a module from a table of weights. `stored` returns the tensors that are not hashed. */
export function loadHashed(
  module: Module,
  weights: { seed: number; columns: string[]; tensors: unknown[][] },
  stored: (name: string) => Float32Array = () => expect.fail('no stored tensors'),
): void {
  const state = new Map(module.namedState());
  for (const { name, shape, scale, offset } of weightRows(weights)) {
    const entry = state.get(name);
    if (!entry) continue;
    if (shape) expect(entry.shape, name).toEqual(shape);
    entry.set(
      scale === null || offset === null
        ? stored(name)
        : hashed(name, weights.seed, { size: entry.size, scale, offset }),
    );
  }
}

/** The order of axes of PyTorch, [B, C, T, H, W], for a map [B, T, H, W, C]. */
export const channelsFirst = (x: tf.Tensor) => (x.rank === 5 ? x.transpose([0, 4, 1, 2, 3]) : x.clone());
export const channelsLast = (x: tf.Tensor) => (x.rank === 5 ? x.transpose([0, 2, 3, 4, 1]) : x);

/** A tensor of PyTorch's order of axes as a map. */
export function mapOf({ shape, data }: Golden): tf.Tensor {
  return tf.tidy(() => channelsLast(tf.tensor(data, shape)));
}

/** Numbers in PyTorch's order of axes. */
export function numbersOf(x: tf.Tensor): Float32Array {
  const first = tf.tidy(() => channelsFirst(x));
  const numbers = first.dataSync() as Float32Array;
  first.dispose();
  return numbers;
}

/** A row of statistics: step, l2, sum, sum_abs, max_abs, noise_max, noise_rel. */
export type StatsRow = readonly [number, number, number, number, number, number, number];

const norm = (values: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ** 2;
  return Math.sqrt(sum);
};

interface Comparison {
  /** The numbers that are stored: all, or a sample. */
  readonly actual: ArrayLike<number>;
  readonly expected: ArrayLike<number>;
  readonly tolerance: number;
  /** Largest difference and relative error of the reference itself. */
  readonly noiseMax: number;
  readonly noiseRel: number;
}

/**
 * Asserts that a tensor is the reference's. The norm of the difference may be the larger of the tolerance and five times the
 * noise. ReLUs and maxima can change single values more, so the tenth with the largest differences is compared by itself.
 */
export function expectTensor(
  what: string,
  { actual, expected, tolerance, noiseMax, noiseRel }: Comparison,
): void {
  expect(actual.length, what).toBe(expected.length);
  const differences = Array.from(expected, (value, i) => Math.abs(actual[i] - value));
  const size = norm(expected);
  const limit = Math.max(tolerance, 5 * noiseRel);
  if (norm(differences) <= limit * size) return;
  const sorted = differences.toSorted((a, b) => b - a);
  const outliers = Math.floor(sorted.length / 10);
  const single = Math.max(tolerance * size, 5 * noiseMax);
  if (outliers > 0 && !(sorted[0] <= single))
    expect.fail(`${what}: an element differs by ${sorted[0]}, allowed are ${single}`);
  const rest = norm(sorted.slice(outliers));
  // Without a row of statistics, the noise is only known as a largest difference.
  if (rest <= limit * size || (noiseRel === 0 && sorted[0] <= 5 * noiseMax)) return;
  expect.fail(`${what}: relative error ${rest / size}, allowed are ${limit}`);
}

/** Every step-th number. */
export function sampled(values: ArrayLike<number>, step: number): Float32Array {
  return Float32Array.from({ length: Math.ceil(values.length / step) }, (_, i) => values[i * step]);
}

/** Compares a whole tensor with a stored sample of it, and its norm with the stored one. */
export function expectSample(
  what: string,
  values: ArrayLike<number>,
  { stored, row, tolerance }: { stored: Golden; row: StatsRow; tolerance: number },
): void {
  const [step, l2, , , , noiseMax, noiseRel] = row;
  const actual = stored.data.length === values.length ? values : sampled(values, step);
  expectTensor(what, { actual, expected: stored.data, tolerance, noiseMax, noiseRel });
  const limit = Math.max(tolerance, 5 * noiseRel);
  const error = Math.abs(norm(values) - l2) / l2;
  if (!(error <= limit))
    expect.fail(`${what}: the norm of all elements is off by ${error}, allowed are ${limit}`);
}

/** Takes statistics of a forward pass into the running ones, and disposes them. */
export function track(found: readonly BatchStatistics[]): void {
  for (const { norm, mean, variance, count } of found) {
    norm.track(mean.dataSync() as Float32Array, variance.dataSync() as Float32Array, count);
    tf.dispose([mean, variance]);
  }
}

export { sizeOf };

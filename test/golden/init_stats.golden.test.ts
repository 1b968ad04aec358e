/** @file Every parameter of the full model: its name, shape and place, and the distribution of its initial values. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configFromOverrides, loadConfig } from '../../src/config/index.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { Detector } from '../../src/model/detector.js';
import type { Parameter } from '../../src/nn/module.js';
import { Rng } from '../../src/util/random.js';
import { goldenExists, goldenJson } from './golden.js';

const BASE = fileURLToPath(new URL('../../config_files/my_VMAEv2-ViTB-16x4.yaml', import.meta.url));

/** The full model with changes by full path; nothing is allocated. */
function makeDetector(changes: Record<string, unknown> = {}): Detector {
  return new Detector(configFromOverrides(changes, loadConfig(BASE).config));
}

const shapesOf = (model: Detector) =>
  Array.from(model.namedParameters(), ([name, { shape }]) => [name, shape] as [string, readonly number[]]);

describe.skipIf(!goldenExists('param_groups.json'))('the parameters', () => {
  // biome-ignore lint/suspicious/noExplicitAny: settings as they stand in the file
  const cases: [string, any][] = goldenExists('param_groups.json')
    ? Object.entries(goldenJson('param_groups.json'))
    : [];

  it.each(cases)('of %s are those of PyTorch, by name and shape, in order', (_, expected) => {
    const shapes = shapesOf(makeDetector(expected.config));
    expect(shapes.length).toBe(expected.num_tensors);
    expect(shapes.reduce((sum, [, shape]) => sum + sizeOf(shape), 0)).toBe(expected.num_params);
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const grouped = expected.groups.flatMap((group: any) => group.names);
    const rest = expected.rest_parameters.names ?? expected.rest_parameters;
    const all = [...new Set([...grouped, ...(Array.isArray(rest) ? rest : [])])];
    expect(shapes.map(([name]) => name).toSorted()).toEqual(all.toSorted());
    if (expected.parameters_in_order) expect(shapes).toEqual(expected.parameters_in_order);
  });
});

/** What PyTorch reports of a parameter: shape, mean, deviation, least, largest. */
type Statistics = [number[], number, number, number, number];

/** A distribution, as far as its samples are checked. */
interface Distribution {
  mean: number;
  std: number;
  /** Fourth central moment over the squared variance: how much a sample's deviation varies. */
  kurtosis: number;
  low: number;
  high: number;
  /** Samples come as near to `low` and `high` as their number lets expect. */
  sharp: boolean;
}

const uniform = (low: number, high: number): Distribution => ({
  mean: (low + high) / 2,
  std: (high - low) / Math.sqrt(12),
  kurtosis: 1.8,
  low,
  high,
  sharp: true,
});

/** The distribution of a parameter that is not constant, by its name, its shape and that of the weight beside it. */
function theory(name: string, shape: readonly number[], weight: readonly number[]): Distribution {
  if (name.endsWith('_queries.weight')) {
    return { mean: 0, std: 1, kurtosis: 3, low: -6.5, high: 6.5, sharp: false };
  }
  if (name.endsWith('iof_tau')) return uniform(0, 4);
  if (name.endsWith('offset_generator.0.bias')) {
    // x and y are uniform, the level is 0: two thirds of the variance of x.
    return { ...uniform(-0.5, 0.5), std: Math.sqrt(2 / 3 / 12), kurtosis: 2.7 };
  }
  const head = name.startsWith('stm_head.');
  const fanIn = sizeOf(weight.slice(1));
  const bound = head && shape.length > 1 ? Math.sqrt(6 / (shape[0] + shape[1])) : 1 / Math.sqrt(fanIn);
  return uniform(-bound, bound);
}

function statistics(data: Float32Array): Statistics {
  let [sum, low, high] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const x of data) {
    sum += x;
    if (x < low) low = x;
    if (x > high) high = x;
  }
  const mean = sum / data.length;
  let squares = 0;
  for (const x of data) squares += (x - mean) ** 2;
  return [[data.length], mean, Math.sqrt(squares / data.length), low, high];
}

/**
 * Asserts that statistics of n samples fit a distribution. Mean and deviation may be six of their own deviations off;
 * the extremes of a uniform sample miss the bounds by more than 25/n of the range with probability e⁻²⁵.
 */
function expectFits([, mean, std, low, high]: Statistics, n: number, expected: Distribution, what: string) {
  const range = expected.high - expected.low;
  const rounding = 1e-6 * range;
  expect(low, `${what}: least`).toBeGreaterThanOrEqual(expected.low - rounding);
  expect(high, `${what}: largest`).toBeLessThanOrEqual(expected.high + rounding);
  const meanError = (6 * expected.std) / Math.sqrt(n) + rounding;
  expect(Math.abs(mean - expected.mean), `${what}: mean ${mean}`).toBeLessThanOrEqual(meanError);
  // The deviation of so few says nothing, and whether it is divided by n or n − 1 would matter.
  if (n < 30) return;
  const stdError = 6 * Math.sqrt((expected.kurtosis - 1) / (4 * n)) + 2 / n;
  expect(Math.abs(std / expected.std - 1), `${what}: deviation ${std}`).toBeLessThanOrEqual(stdError);
  if (!expected.sharp) return;
  expect(low, `${what}: least`).toBeLessThan(expected.low + (25 * range) / n + rounding);
  expect(high, `${what}: largest`).toBeGreaterThan(expected.high - (25 * range) / n - rounding);
}

/** As many values of a large parameter are drawn. */
const SAMPLE = 2 ** 19;

/** Initial values, without an engine; of a large parameter the first ones. */
function initial(name: string, { shape, size, init }: Parameter): Float32Array {
  const data = new Float32Array(Math.min(size, SAMPLE));
  init(data, shape, Rng.forName(1, name));
  return data;
}

describe.skipIf(!goldenExists('init_stats_full.json'))('the initial values', () => {
  const { params, pos_embed_table_shape: table } = goldenExists('init_stats_full.json')
    ? goldenJson('init_stats_full.json')
    : { params: {}, pos_embed_table_shape: [] };
  const reference = params as Record<string, Statistics>;
  const parameters = new Map(makeDetector().namedParameters());
  const isConstant = ([, , std, low, high]: Statistics) => std === 0 && low === high;

  it('exist for the same parameters', () => {
    expect([...parameters.keys()]).toEqual(Object.keys(reference));
    for (const [name, { shape }] of parameters) expect(shape, name).toEqual(reference[name][0]);
    const learned = makeDetector({ 'ViT.USE_LEARNABLE_POS_EMB': true });
    const named = new Map(learned.namedParameters());
    expect(named.get('backbone.pos_embed')!.shape).toEqual(table);
  });

  it('are the same constants', () => {
    const constants = Object.entries(reference).filter(([, expected]) => isConstant(expected));
    expect(constants.length).toBeGreaterThan(0);
    for (const [name, [, mean]] of constants) {
      const data = initial(name, parameters.get(name)!);
      expect(
        data.every((x) => x === Math.fround(mean)),
        `${name} is ${mean} everywhere`,
      ).toBe(true);
    }
  });

  it('have the same distributions', () => {
    const drawn = Object.entries(reference).filter(([, expected]) => !isConstant(expected));
    expect(drawn.length).toBeGreaterThan(0);
    for (const [name, expected] of drawn) {
      const parameter = parameters.get(name)!;
      const weight = parameters.get(name.replace(/bias$/, 'weight'))!;
      const distribution = theory(name, parameter.shape, weight.shape);
      expectFits(expected, parameter.size, distribution, `${name} in PyTorch`);
      const data = initial(name, parameter);
      expectFits(statistics(data), data.length, distribution, name);
    }
  });

  it('put sample points inside the box, on its own level', () => {
    const offsets = [...parameters].filter(([name]) => name.endsWith('offset_generator.0.bias'));
    expect(offsets.length).toBeGreaterThan(0);
    for (const [name, parameter] of offsets) {
      const data = initial(name, parameter);
      const axis = (k: number) => data.filter((_, i) => i % 3 === k);
      for (const k of [0, 1]) {
        expectFits(statistics(axis(k)), data.length / 3, uniform(-0.5, 0.5), `${name}, axis ${k}`);
      }
      expect(axis(2).every((level) => level === 0)).toBe(true);
    }
  });
});

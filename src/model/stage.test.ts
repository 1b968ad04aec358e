/** @file A decoder stage: what gets no gradient, initial sample points, dropout; gradients of its parts. */
import { afterAll, describe, expect, it } from 'vitest';
import { expectGradients, normals, randomize, type Values } from '../../test/support/finite_difference.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { tf } from '../engine/tfjs.js';
import { initializeParameters } from '../nn/module.js';
import { backward } from '../nn/tape.js';
import { Rng } from '../util/random.js';
import { makeFeatureTable } from './sampling.js';
import { DecoderStage, FeedForward, ResidualAttention } from './stage.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

const cfg = tinyConfig({ 'MODEL.STM.DROPOUT': 0.5 }).MODEL.STM;
const [B, Q, C, T] = [2, cfg.NUM_QUERIES, cfg.HIDDEN_DIM, cfg.TEMPORAL_POINTS];
const maps = [
  [B, T, 4, 4, C],
  [B, T, 2, 2, C],
];
const rng = new Rng(1);
const inputs = {
  xyzr: normals([B, Q, 4], rng),
  spatial: normals([B, Q, C], rng),
  temporal: normals([B, Q, C], rng),
};
const stage = new DecoderStage(cfg);
randomize(stage, rng);

/** The stage's outputs for features of one value everywhere. */
function forward(xyzr: tf.Tensor, feature: number, dropout?: Rng) {
  const table = makeFeatureTable(
    maps.map((shape) => tf.fill(shape, feature)),
    [8, 16],
    cfg.N_GROUPS,
  );
  return stage.forward(
    table,
    { xyzr, spatial: tensor(inputs.spatial), temporal: tensor(inputs.temporal) },
    dropout,
  );
}

/** All outputs of the stage as numbers. */
function numbers(xyzr: Float32Array, dropout?: Rng): number[] {
  const all = tf.tidy(() => {
    const outputs = forward(tf.tensor(xyzr, [B, Q, 4]), 0, dropout);
    return tf.concat(Object.values(outputs).map((output) => output.flatten()));
  });
  const data = Array.from(all.dataSync());
  all.dispose();
  return data;
}

afterAll(() => stage.dispose());

describe('DecoderStage', () => {
  it('uses the boxes in position embedding and attention bias, but passes no gradient to them', () => {
    // Features are zero, so sampling does not depend on the boxes.
    const moved = inputs.xyzr.data.map((x) => x + 0.5);
    expect(numbers(moved)).not.toEqual(numbers(inputs.xyzr.data));
    const xyzr = tensor(inputs.xyzr);
    const tau = stage.iof_tau.value;
    const { value, grads } = backward(
      () => tf.concat(Object.values(forward(xyzr, 0)).map((output) => output.flatten())).sum(),
      [xyzr, tau],
    );
    expect(grads[0]?.dataSync().every((gradient) => gradient === 0) ?? true).toBe(true);
    expect(grads[1]!.dataSync().some((gradient) => gradient !== 0)).toBe(true);
    tf.dispose([xyzr, value, ...grads.filter((grad) => grad !== null)]);
  });

  it('drops attention weights by its generator in training only', () => {
    const { data } = inputs.xyzr;
    const plain = numbers(data);
    expect(numbers(data, new Rng(1))).toEqual(numbers(data, new Rng(1)));
    expect(numbers(data, new Rng(1))).not.toEqual(numbers(data, new Rng(2)));
    expect(numbers(data, new Rng(1))).not.toEqual(plain);
    stage.train(false);
    expect(numbers(data, new Rng(1))).toEqual(plain);
    stage.train();
  });

  it('keeps the clips of a batch apart', () => {
    const both = numbers(inputs.xyzr.data);
    const changed = Float32Array.from(inputs.xyzr.data);
    changed.fill(2, (B - 1) * Q * 4);
    const after = numbers(changed);
    const [firstBefore, firstAfter] = [both, after].map((all) => {
      // Outputs follow each other; the first clip is the first half of each.
      const widths = [cfg.OBJECT_CLASSES + 1, cfg.ACTION_CLASSES, 4, C, C];
      let start = 0;
      return widths.flatMap((width) => {
        const half = all.slice(start, start + Q * width);
        start += B * Q * width;
        return half;
      });
    });
    expect(firstAfter).toEqual(firstBefore);
    expect(after).not.toEqual(both);
  });
});

describe('initial sample points', () => {
  /** Initial offsets (dx, dy, level) of every point. */
  function offsets(points: number, groups: number, seed: number): number[][] {
    const stm = tinyConfig({ 'MODEL.STM.SPATIAL_POINTS': points, 'MODEL.STM.N_GROUPS': groups }).MODEL.STM;
    const fresh = new DecoderStage(stm);
    initializeParameters(fresh, seed);
    const [weight, bias] = fresh.samplingmixing.offset_generator.parameters();
    expect(weight.value.dataSync().every((x) => x === 0)).toBe(true);
    const data = Array.from(bias.value.dataSync());
    fresh.dispose();
    return Array.from({ length: groups * points }, (_, n) => data.slice(3 * n, 3 * n + 3));
  }

  it('form a regular grid over the box if their number is a square', () => {
    const all = offsets(9, 2, 1);
    for (const group of [all.slice(0, 9), all.slice(9)]) {
      const places = group.map((point) => point.map((x) => Math.round(x * 3)).join()).sort();
      const expected = [-1, 0, 1].flatMap((x) => [-1, 0, 1].map((y) => `${x},${y},0`)).sort();
      expect(places).toEqual(expected);
      for (const [x] of group) expect(Math.abs(x * 3 - Math.round(x * 3))).toBeLessThan(1e-6);
    }
    expect(offsets(1, 2, 1)).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });

  it('are random in the box, on its own level, for other numbers', () => {
    const points = offsets(32, 4, 1);
    for (const [x, y, level] of points) {
      expect(Math.max(Math.abs(x), Math.abs(y))).toBeLessThanOrEqual(0.5);
      expect(level).toBe(0);
    }
    expect(new Set(points.map(([x]) => x)).size).toBeGreaterThan(120);
    expect(offsets(32, 4, 2)).not.toEqual(points);
  });
});

describe('the parts of a decoder stage', () => {
  it('have the right gradients: FeedForward', () => {
    const module = new FeedForward(4, 6, 3);
    expect(Array.from(module.namedParameters(), ([name, { shape }]) => [name, shape])).toEqual([
      ['layers.0.0.weight', [6, 4]],
      ['layers.0.0.bias', [6]],
      ['layers.1.0.weight', [6, 6]],
      ['layers.1.0.bias', [6]],
      ['layers.2.weight', [4, 6]],
      ['layers.2.bias', [4]],
    ]);
    randomize(module, rng);
    // Small steps: ReLUs have kinks.
    const options = { parameters: module.parameters(), step: 5e-4, tolerance: 5e-3 };
    expectGradients((x) => module.forward(x), [normals([3, 4], rng)], options);
    module.dispose();
  });

  it('have the right gradients: ResidualAttention', () => {
    const module = new ResidualAttention(4, 2);
    randomize(module, rng);
    expectGradients(
      (x, bias) => module.forward(x, bias),
      [normals([1, 3, 4], rng), normals([2, 3, 3], rng)],
      { parameters: module.parameters() },
    );
    module.dispose();
  });
});

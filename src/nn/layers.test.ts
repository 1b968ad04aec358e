/** @file Layers: their gradients, the splitting into heads, their initial values. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, randomize } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { joinHeads, splitHeads } from './attention.js';
import { constant, fanInUniform, uniform, xavierUniform } from './init.js';
import { Gelu, LayerNorm, Linear, MultiheadAttention, Sequential } from './layers.js';
import { initializeParameters } from './module.js';

describe('heads', () => {
  const [B, N, heads, D] = [2, 3, 2, 4];
  const C = heads * D;

  it('are split in the order of PyTorch: part, head, feature', () => {
    // Every element says where it comes from: clip, token, part, head, feature.
    const numbers = Array.from({ length: B * N * 3 * C }, (_, i) => i);
    const parts = tf.tidy(() => splitHeads(tf.tensor(numbers, [B, N, 3 * C]), heads));
    for (const [part, tensor] of parts.entries()) {
      expect(tensor.shape).toEqual([B * heads, N, D]);
      for (const [i, value] of tensor.dataSync().entries()) {
        const [d, n, s] = [i % D, Math.floor(i / D) % N, Math.floor(i / (D * N))];
        const [b, head] = [Math.floor(s / heads), s % heads];
        expect(value).toBe((b * N + n) * 3 * C + part * C + head * D + d);
      }
    }
    const joined = tf.tidy(() => joinHeads(parts[1], B, N));
    expect(joined.shape).toEqual([B, N, C]);
    for (const [i, value] of joined.dataSync().entries()) {
      expect(value).toBe(Math.floor(i / C) * 3 * C + C + (i % C));
    }
    tf.dispose([...parts, joined]);
  });

  it('have the right gradients', () => {
    expectGradients((x) => splitHeads(x, heads), [normals([B, N, 3 * C], new Rng(1))]);
    expectGradients((x) => joinHeads(x, B, N), [normals([B * heads, N, D], new Rng(1))]);
  });
});

it('MultiheadAttention has the right gradients for input, bias and all its weights', () => {
  const rng = new Rng(2);
  const [B, N, C, heads] = [2, 3, 4, 2];
  const module = new MultiheadAttention(C, heads);
  randomize(module, rng);
  const mask = tf.tensor(
    Float32Array.from({ length: B * heads * N * N }, () => (rng.uniform() < 0.5 ? 0 : 2)),
    [B * heads, N, N],
  );
  expectGradients(
    (x, bias) => module.forward(x, bias, mask),
    [normals([B, N, C], rng), normals([B * heads, N, N], rng)],
    { parameters: module.parameters() },
  );
  module.dispose();
  mask.dispose();
});

it('Sequential runs its layers in order and has the right gradients', () => {
  const rng = new Rng(3);
  const module = new Sequential([
    new Linear(3, 5),
    new LayerNorm(5),
    new Gelu(),
    new Linear(5, 2, { bias: false }),
  ]);
  randomize(module, rng);
  expectGradients((x) => module.forward(x), [normals([4, 3], rng)], { parameters: module.parameters() });
  module.dispose();
});

describe('initial values', () => {
  /** What an initialiser makes of an array. */
  function filled(init: ReturnType<typeof uniform>, shape: number[]): Float32Array {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    init(data, shape, new Rng(4));
    return data;
  }

  it.each([
    ['uniform(−2, 6)', uniform(-2, 6), [40, 50], -2, 6],
    ['xavierUniform of a matrix', xavierUniform, [40, 56], -0.25, 0.25],
    ['xavierUniform of a 2×2 kernel', xavierUniform, [16, 8, 1, 2, 2], -0.25, 0.25],
    ['fanInUniform(16)', fanInUniform(16), [40, 50], -0.25, 0.25],
  ])('of %s fill their range evenly', (_, init, shape, low, high) => {
    const data = filled(init, shape as number[]);
    const quarters = [0, 0, 0, 0];
    expect(data.every((x) => x >= (low as number) && x <= (high as number))).toBe(true);
    for (const x of data) {
      quarters[Math.min(3, Math.floor((4 * (x - (low as number))) / ((high as number) - (low as number))))]++;
    }
    // Five deviations of a binomial count with p = ¼.
    for (const count of quarters) {
      expect(Math.abs(count - data.length / 4)).toBeLessThan(5 * Math.sqrt(data.length * (3 / 16)));
    }
  });

  it('of constant are equal everywhere', () => {
    expect(Array.from(filled(constant(0.25), [3]))).toEqual([0.25, 0.25, 0.25]);
  });

  it('have the distributions of PyTorch for Linear and LayerNorm', () => {
    const [linear, norm] = [new Linear(64, 3), new LayerNorm(4)];
    initializeParameters(linear, 1);
    initializeParameters(norm, 1);
    const largest = (data: ArrayLike<number>) => Math.max(...Array.from(data, Math.abs));
    for (const parameter of linear.parameters()) {
      expect(largest(parameter.value.dataSync())).toBeGreaterThan(0);
      expect(largest(parameter.value.dataSync())).toBeLessThanOrEqual(1 / 8);
    }
    expect(Array.from(norm.weight.value.dataSync())).toEqual([1, 1, 1, 1]);
    expect(Array.from(norm.bias.value.dataSync())).toEqual([0, 0, 0, 0]);
    linear.dispose();
    norm.dispose();
  });
});

/** @file The fused kernels of the cuda engine, evaluated on the host, against their compositions on tfjs's plain backend. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  BFLOAT16,
  BFLOAT16_ERROR,
  expectClose,
  FLOAT32,
  integers,
  lower,
  lowerFused,
  type Operand,
  reference,
  tensorOf,
  uniform,
} from '../../../../test/support/lowered.js';
import { selfAttention, splitHeads } from '../../../nn/attention.js';
import { gelu, layerNorm, linear, relu } from '../../../nn/functional.js';
import { weightedRowSum } from '../../../nn/spatial.js';
import { ADAM_SCALARS, FUSED_KERNELS } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import { tf } from '../../tfjs.js';
import type { Gemm } from '../compile/program.js';
import { attentionKernels } from './attention.js';
import { fusedKernels } from './fused.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

it('lowers every kernel of the contract', () => {
  const names = fusedKernels.map(({ name }) => name);
  expect([...names].sort()).toEqual(Object.keys(FUSED_KERNELS).sort());
});

describe('activations', () => {
  const [x, dy] = [uniform([7, 33], 1), uniform([7, 33], 2)];

  it('computes GELU and its gradient', () => {
    const wide = { ...x, data: x.data.map((value) => 4 * value) };
    const [y, dx] = reference([wide], dy, gelu);
    expectClose(lowerFused('Gelu', { x: wide }, {}).values(), [y]);
    expectClose(lowerFused('GeluGrad', { dy, x: wide }, {}).values(), [dx]);
  });

  it('computes the gradient of ReLU', () => {
    const [y, dx] = reference([x], dy, relu);
    expectClose(lowerFused('ReluGrad', { dy, y: { ...x, data: y } }, {}).values(), [dx]);
  });

  it('stores results as their operands are', () => {
    const narrow = { ...x, storage: 'bfloat16' } as const;
    const storageOf = (operands: Record<string, Operand>) =>
      lowerFused('GeluGrad', operands, {}, BFLOAT16).results[0].tensor.storage;
    expect(storageOf({ dy: narrow, x: narrow })).toBe('bfloat16');
    expect(storageOf({ dy, x: narrow })).toBe('float32');
  });
});

describe('layer normalisation', () => {
  const eps = 1e-5;

  it.each([true, false])('has the right value and gradients, with a weight: %s', (hasWeight) => {
    const [x, dy] = [uniform([3, 7, 37], 1), uniform([3, 7, 37], 2)];
    const [weight, bias] = hasWeight ? [uniform([37], 3), uniform([37], 4)] : [];
    const affine = weight && bias ? [weight, bias] : [];
    const [y, ...grads] = reference([x, ...affine], dy, (input, w, b) =>
      layerNorm(input, eps, { weight: w, bias: b }),
    );
    const attributes = { eps, width: 37 };
    expectClose(lowerFused('LayerNorm', { x, weight, bias }, attributes).values(), [y]);
    expectClose(lowerFused('LayerNormGrad', { dy, x, weight }, attributes).values(), grads);
  });

  it('normalises several axes together', () => {
    const [x, dy] = [uniform([5, 3, 11], 1), uniform([5, 3, 11], 2)];
    const [y, dx] = reference([x], dy, (input) => layerNorm(input, eps, { axes: 2 }));
    expectClose(lowerFused('LayerNorm', { x }, { eps, width: 33 }).values(), [y]);
    expectClose(lowerFused('LayerNormGrad', { dy, x }, { eps, width: 33 }).values(), [dx]);
  });

  it('stores large results in bfloat16 and gradients of weights in full', () => {
    const [x, dy] = [uniform([256, 256], 1), uniform([256, 256], 2)];
    const [weight, bias] = [uniform([256], 3), uniform([256], 4)];
    const [y] = reference([x, weight, bias], null, (input, w, b) =>
      layerNorm(input, eps, { weight: w, bias: b }),
    );
    const forward = lowerFused('LayerNorm', { x, weight, bias }, { eps, width: 256 }, BFLOAT16);
    const backward = lowerFused('LayerNormGrad', { dy, x, weight }, { eps, width: 256 }, BFLOAT16);
    const storages = [...forward.results, ...backward.results].map(({ tensor }) => tensor.storage);
    expect(storages).toEqual(['bfloat16', 'bfloat16', 'float32', 'float32']);
    expectClose(forward.values(), [y], 2 ** -8);
  });
});

describe('linear layers', () => {
  const sizes = (N: number, I: number, O: number) => ({
    x: uniform([N, I], 1),
    weight: uniform([O, I], 2),
    bias: uniform([O], 3),
    dy: uniform([N, O], 4),
  });

  it.each([
    [1, 1, 1],
    [5, 7, 3],
    [33, 65, 17],
  ])('has the right value and gradients for %i rows from %i to %i features', (N, I, O) => {
    const { x, weight, bias, dy } = sizes(N, I, O);
    const [y, dx, dweight, dbias] = reference([x, weight, bias], dy, (a, w, b) => linear(a, w, b));
    expectClose(lowerFused('Linear', { x, weight, bias }, {}).values(), [y]);
    expectClose(lowerFused('LinearGrad', { dy, x, weight }, {}).values(), [dx, dweight, dbias]);
    const [plain] = reference([x, weight], null, (a, w) => linear(a, w));
    expectClose(lowerFused('Linear', { x, weight }, {}).values(), [plain]);
  });

  it('takes no rows', () => {
    const { x, weight, bias, dy } = sizes(0, 3, 2);
    expect(lowerFused('Linear', { x, weight, bias }, {}).values()).toEqual([new Float64Array(0)]);
    const grads = lowerFused('LinearGrad', { dy, x, weight }, {}).values();
    expect(grads).toEqual([new Float64Array(0), new Float64Array(6), new Float64Array(2)]);
  });

  it('multiplies large layers in bfloat16', () => {
    const { x, weight, bias, dy } = sizes(128, 192, 176);
    const expected = reference([x, weight, bias], dy, (a, w, b) => linear(a, w, b));
    const forward = lowerFused('Linear', { x, weight, bias }, {}, BFLOAT16);
    const backward = lowerFused('LinearGrad', { dy, x, weight }, {}, BFLOAT16);
    const storages = [...forward.results, ...backward.results].map(({ tensor }) => tensor.storage);
    expect(storages).toEqual(['bfloat16', 'bfloat16', 'float32', 'float32']);
    expectClose([...forward.values(), ...backward.values()], expected, BFLOAT16_ERROR);
  });

  it('computes epilogues apart where the library has no algorithm for them', () => {
    const { x, weight, bias, dy } = sizes(9, 7, 5);
    const policy = { ...FLOAT32, hasAlgorithm: ({ epilogue }: Gemm) => epilogue === 'none' };
    const expected = reference([x, weight, bias], dy, (a, w, b) => linear(a, w, b));
    const forward = lowerFused('Linear', { x, weight, bias }, {}, policy);
    const backward = lowerFused('LinearGrad', { dy, x, weight }, {}, policy);
    expectClose([...forward.values(), ...backward.values()], expected);
  });

  it('converts each operand once', () => {
    const { x, weight, dy } = sizes(128, 192, 176);
    const { builder } = lowerFused('LinearGrad', { dy, x, weight }, {}, BFLOAT16);
    expect(builder.tensors.filter(({ definition }) => definition.kind === 'map')).toHaveLength(3);
  });
});

describe('self-attention', () => {
  const [B, N, H, D] = [2, 7, 3, 5];
  const sizes = (n: number) => ({
    qkv: uniform([B, n, 3 * H * D], 1),
    dy: uniform([B, n, H * D], 2),
    bias: uniform([B * H, n, n], 3),
    mask: { ...integers([B * H, n, n], 4, [0, 2]), dtype: 'float32' as const },
  });
  const attributes = { heads: H, scale: 0.7 };
  /** The logarithms of the softmax's sums. */
  function logSums(qkv: Operand, bias: Operand | undefined): tf.Tensor {
    const [q, k] = splitHeads(tensorOf(qkv), H);
    const scores = tf.matMul(q.mul(0.7), k, false, true);
    return tf.logSumExp(bias ? scores.add(tensorOf(bias)) : scores, -1);
  }

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('has the right value and gradients, with a bias: %s, with a mask: %s', (hasBias, hasMask) => {
    const all = sizes(N);
    const { qkv, dy } = all;
    const [bias, mask] = [hasBias ? all.bias : undefined, hasMask ? all.mask : undefined];
    const [y, ...grads] = reference(bias ? [qkv, bias] : [qkv], dy, (x, b) =>
      selfAttention(x, H, { scale: 0.7, bias: b, mask: mask && tensorOf(mask) }),
    );
    const sums = tf.tidy(() => logSums(qkv, bias).dataSync());
    expectClose(lowerFused('SelfAttention', { qkv, bias, mask }, attributes).values(), [y, sums]);
    const out = { ...dy, data: y };
    expectClose(lowerFused('SelfAttentionGrad', { dy, qkv, out, bias, mask }, attributes).values(), grads);
  });
});

describe('self-attention of several clips', () => {
  const attributes = { heads: 2, scale: 0.5 };

  it('is the same for one clip at a time', () => {
    const [qkv, dy] = [uniform([5, 6, 2 * 3 * 4], 1), uniform([5, 6, 2 * 4], 2)];
    const mask = { ...integers([10, 6, 6], 4, [0, 2]), dtype: 'float32' as const };
    // Two clips at a time, so that the last one stays alone.
    const pairs = attentionKernels(2 * 2 * 6 * 6);
    const results = lowerFused('SelfAttention', { qkv, mask }, attributes).values();
    const [out] = results;
    const inputs = { dy, qkv, out: { ...dy, data: Float32Array.from(out) }, mask };
    const [dqkv] = lowerFused('SelfAttentionGrad', inputs, attributes).values();
    const given = [qkv, mask];
    const node = { attributes: { ...attributes, missing: ['statistics', 'bias'] } };
    const forward = lower(
      {
        lower: pairs.selfAttention.lower,
        operands: given,
        outputs: [floats(dy.shape), floats([5, 2, 6])],
        ...node,
      },
      FLOAT32,
    );
    expect(forward.builder.tensors.filter(({ definition }) => definition.kind === 'call')).toHaveLength(6);
    expect(forward.values()).toEqual(results);
    const backward = lower(
      {
        lower: pairs.selfAttentionGrad.lower,
        operands: [dy, qkv, inputs.out, mask],
        outputs: [{ shape: qkv.shape, dtype: 'float32' }],
        ...node,
      },
      FLOAT32,
    );
    expect(backward.values()).toEqual([dqkv]);
  });

  it('multiplies in bfloat16 if each clip has enough multiply-adds', () => {
    const [B, N, H, D] = [1, 64, 8, 128];
    const [qkv, dy] = [uniform([B, N, 3 * H * D], 1), uniform([B, N, H * D], 2)];
    const [y, dqkv] = reference([qkv], dy, (x) => selfAttention(x, H, { scale: 0.1 }));
    const forward = lowerFused('SelfAttention', { qkv }, { heads: H, scale: 0.1 }, BFLOAT16);
    const out = { ...dy, data: y };
    const backward = lowerFused('SelfAttentionGrad', { dy, qkv, out }, { heads: H, scale: 0.1 }, BFLOAT16);
    const results = [forward.results[0], ...backward.results];
    expect(results.map(({ tensor }) => tensor.storage)).toEqual(['bfloat16', 'bfloat16']);
    expectClose([forward.values()[0], ...backward.values()], [y, dqkv], BFLOAT16_ERROR);
  });
});

describe('weighted sums of rows', () => {
  it('have the right value and gradient of the weights', () => {
    const [table, weight, dy] = [uniform([9, 6], 1), uniform([11, 4], 2), uniform([11, 6], 3)];
    const index = integers([11, 4], 4, [0, 9]);
    const [y, , dweight] = reference([table, weight], dy, (t, w) => weightedRowSum(t, tensorOf(index), w));
    expectClose(lowerFused('WeightedRowSum', { table, index, weight }, {}).values(), [y]);
    expectClose(lowerFused('WeightedRowSumGradWeight', { table, index, dy }, {}).values(), [dweight]);
  });
});

describe('optimizer', () => {
  it.each([true, false])('updates a parameter, with decoupled weight decay: %s', (decoupled) => {
    const [weight, grad, exp_avg] = [1, 2, 3].map((seed) => uniform([5, 7], seed));
    const squares = uniform([5, 7], 4);
    const exp_avg_sq = { ...squares, data: squares.data.map(Math.abs) };
    const scalars = {
      ...uniform([ADAM_SCALARS.length], 5),
      data: Float32Array.of(0.9, 0.02, 0.8, 0.2, 0.95, 0.05, 1e-3, 0.1),
    };
    const inputs = { weight, grad, exp_avg, exp_avg_sq, scalars };
    const expected = [...weight.data].map((w, i) => {
      const slope = decoupled ? grad.data[i] : grad.data[i] + 0.02 * w;
      const average = 0.8 * exp_avg.data[i] + 0.2 * slope;
      const square = 0.95 * exp_avg_sq.data[i] + 0.05 * slope * slope;
      return [(decoupled ? 0.9 : 1) * w - (0.1 * average) / (Math.sqrt(square) + 1e-3), average, square];
    });
    const results = lowerFused('AdamUpdate', inputs, { decoupled }, FLOAT32).values();
    expectClose(
      results,
      [0, 1, 2].map((k) => expected.map((row) => row[k])),
      1e-6,
    );
  });

  it('adds up squares', () => {
    const x = uniform([3, 5, 101], 1);
    const sum = [...x.data].reduce((total, value) => total + value * value, 0);
    expectClose(lowerFused('SumOfSquares', { x }, {}).values(), [[sum]], 1e-6);
  });
});

/** @file Kernels that are written by hand, run on the CPU: matrix products and scatters. */
import { beforeEach, describe, expect, it } from 'vitest';
import { describeStandIn } from '../../../../test/cuda_on_cpu/bindings.js';
import { FORWARD, relativeError } from '../../../../test/golden/golden.js';
import { runOnCpu } from '../../../../test/support/kernel_steps.js';
import {
  BFLOAT16,
  FLOAT32,
  integers,
  type Lowered,
  type LoweredCase,
  lower,
  lowerFused,
  type Operand,
  tensorOf,
  uniform,
} from '../../../../test/support/lowered.js';
import { nvrtcPath, wheelsFolder } from '../../../../test/support/nvidia_wheels.js';
import { tf } from '../../tfjs.js';
import { loadNvrtc } from '../api/nvrtc.js';
import type { Policy } from './lowering.js';
import { batchMatMul } from './matmul.js';
import { scatterNd, unsortedSegmentSum } from './scatter/scatter.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

const reference = (compute: () => tf.Tensor) => tf.tidy(() => compute().dataSync().slice());
const OWN: Policy = { ...FLOAT32, hasAlgorithm: () => false };

function matMulCase(
  a: Operand,
  b: Operand,
  [transposeA, transposeB]: readonly boolean[],
): LoweredCase & { expected: ArrayLike<number> } {
  const product = tf.tidy(() => {
    // tfjs's plain backend broadcasts a single matrix only.
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const [left, right] = [a, b].map((x) => tf.broadcastTo(tensorOf(x), [...batch, ...x.shape.slice(-2)]));
    const y = tf.matMul(left, right, transposeA, transposeB);
    return { shape: y.shape, data: y.dataSync().slice() };
  });
  return {
    lower: batchMatMul,
    operands: [a, b],
    attributes: { transposeA, transposeB },
    outputs: [{ shape: product.shape, dtype: a.dtype }],
    expected: product.data,
  };
}

const TURNS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
];

const turned = (shape: readonly number[], isTurned: boolean) =>
  isTurned ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape;

describe('matrix products', () => {
  it.each(TURNS)('multiply batches that are broadcast, transposed: %s, %s', (...turns) => {
    for (const [batchA, batchB] of [
      [[], []],
      [[3], [3]],
      [[1], [3]],
      [[3], [1]],
      [
        [2, 1],
        [1, 3],
      ],
      [[2, 3], [3]],
    ]) {
      const a = uniform(turned([...batchA, 5, 7], turns[0]), 1);
      const b = uniform(turned([...batchB, 7, 4], turns[1]), 2);
      const { expected, ...test } = matMulCase(a, b, turns);
      expect(relativeError(lower(test, FLOAT32).values()[0], expected)).toBeLessThan(FORWARD);
    }
  });

  it.each(TURNS)('multiply integers, transposed: %s, %s', (...turns) => {
    const a = integers(turned([2, 1, 5, 7], turns[0]), 1, [-9, 9]);
    const b = integers(turned([3, 7, 4], turns[1]), 2, [-9, 9]);
    const { expected, ...test } = matMulCase(a, b, turns);
    expect([...lower(test, FLOAT32).values()[0]]).toEqual([...(expected as Int32Array)]);
  });

  it('keep results in full and compute small products in float32', () => {
    const storages = (size: number) => {
      const [a, b] = [uniform([size, size], 1), uniform([size, size], 2)];
      const attributes = { transposeA: false, transposeB: false };
      const outputs = [{ shape: [size, size], dtype: 'float32' as const }];
      const { results } = lower({ lower: batchMatMul, operands: [a, b], attributes, outputs }, BFLOAT16);
      const call = results[0].tensor.definition;
      if (call.kind !== 'call') throw new Error('the result is not of a product');
      return [...call.call.steps[0].operands, ...results].map(({ tensor }) => tensor.storage);
    };
    expect(storages(160)).toEqual(['float32', 'float32', 'float32']);
    expect(storages(162)).toEqual(['bfloat16', 'bfloat16', 'float32']);
  });

  it('compute in tf32 only if asked', () => {
    const computeOf = (policy: Policy) => {
      const { expected, ...test } = matMulCase(uniform([4, 4], 1), uniform([4, 4], 2), TURNS[0]);
      const call = lower(test, policy).results[0].tensor.definition;
      const step = call.kind === 'call' && call.call.steps[0];
      return step && step.kind === 'gemm' ? step.gemm.compute : null;
    };
    expect(computeOf({ ...FLOAT32, precision: 'tf32' })).toBe('tf32');
    expect(computeOf(FLOAT32)).toBe('float32');
    expect(computeOf(BFLOAT16)).toBe('float32');
  });
});

describeStandIn('products without cuBLASLt', () => {
  it.each(TURNS)('are right for sizes with remainders, transposed: %s, %s', (...turns) => {
    for (const [batch, M, K, N] of [
      [1, 1, 1, 1],
      [1, 65, 33, 130],
      [2, 64, 16, 64],
      [3, 7, 50, 70],
    ]) {
      const a = uniform(turned([batch, M, K], turns[0]), 1);
      const b = uniform(turned([batch, K, N], turns[1]), 2);
      const { expected, ...test } = matMulCase(a, b, turns);
      expect(relativeError(lower(test, OWN).values(runOnCpu)[0], expected)).toBeLessThan(FORWARD);
    }
  });

  it('add a bias and read and write bfloat16 as cuBLASLt does', () => {
    const [x, weight, bias, dy] = [
      uniform([130, 192], 1),
      uniform([176, 192], 2),
      uniform([176], 3),
      uniform([130, 176], 4),
    ];
    const policy = { ...BFLOAT16, hasAlgorithm: () => false };
    const evaluate = (one: Policy) => [
      ...lowerFused('Linear', { x, weight, bias }, {}, one).values(runOnCpu),
      ...lowerFused('LinearGrad', { dy, x, weight }, {}, one).values(runOnCpu),
    ];
    const [own, library] = [evaluate(policy), evaluate(BFLOAT16)];
    // Sums that lie between two numbers of bfloat16 may be rounded either way. The gradient of the bias adds dy before or after rounding.
    const bounds = [2 ** -12, 2 ** -12, FORWARD, 2 ** -8];
    for (const [i, values] of own.entries())
      expect(relativeError(values, library[i]), `result ${i}`).toBeLessThan(bounds[i]);
  });

  it('read heads where they lie', () => {
    const qkv = uniform([2, 67, 3 * 2 * 9], 1);
    const mask = { ...integers([4, 67, 67], 2, [0, 2]), dtype: 'float32' as const };
    const evaluate = (policy: Policy) =>
      lowerFused('SelfAttention', { qkv, mask }, { heads: 2, scale: 0.3 }, policy).values(runOnCpu)[0];
    expect(relativeError(evaluate(OWN), evaluate(FLOAT32))).toBeLessThan(FORWARD);
  });
});

const RANDOM_ORDER: Policy = { ...FLOAT32, isDeterministic: false };

describeStandIn('scatters', () => {
  const scatterCase = (indices: Operand, updates: Operand, shape: number[]): LoweredCase => ({
    lower: scatterNd,
    operands: [indices, updates],
    outputs: [{ shape, dtype: updates.dtype }],
  });

  it.each([FLOAT32, RANDOM_ORDER])('add updates at index vectors, policy %j', (policy) => {
    const places = integers([300, 2], 1, [0, 4]);
    const updates = uniform([300, 5], 2);
    const shape = [4, 6, 5];
    const expected = reference(() => tf.scatterND(tensorOf(places), tensorOf(updates), shape));
    const [sums] = lower(scatterCase(places, updates, shape), policy).values(runOnCpu);
    expect(relativeError(sums, expected)).toBeLessThan(1e-6);
  });

  it('take a list of numbers as indices, and leave out what is outside', () => {
    const indices = { ...integers([4], 1, [0, 1]), data: Int32Array.of(2, -1, 2, 3) };
    const updates = { ...uniform([4, 2], 2), data: Float32Array.of(1, 2, 100, 100, 3, 4, 100, 100) };
    expect([...lower(scatterCase(indices, updates, [3, 2]), FLOAT32).values(runOnCpu)[0]]).toEqual([
      0, 0, 0, 0, 4, 6,
    ]);
  });

  it('add integers exactly', () => {
    const indices = integers([50, 1], 1, [0, 3]);
    const updates = integers([50], 2, [-(2 ** 30), 2 ** 30]);
    const expected = new Int32Array(3);
    for (const [i, row] of indices.data.entries()) expected[row] += updates.data[i];
    expect([...lower(scatterCase(indices, updates, [3]), FLOAT32).values(runOnCpu)[0]]).toEqual([
      ...expected,
    ]);
  });

  it('add rows of equal segment, of floats, integers and booleans', () => {
    const ids = integers([40], 1, [-1, 6]);
    const test = (x: Operand) => {
      const dtype = x.dtype === 'bool' ? ('int32' as const) : x.dtype;
      const shape = [5, 3];
      const outputs = [{ shape, dtype }];
      const expected = new Float64Array(15);
      for (const [i, id] of ids.data.entries())
        if (id >= 0 && id < 5) for (let c = 0; c < 3; c++) expected[id * 3 + c] += x.data[i * 3 + c];
      const [sums] = lower({ lower: unsortedSegmentSum, operands: [x, ids], outputs }, FLOAT32).values(
        runOnCpu,
      );
      expect(relativeError(sums, expected)).toBeLessThan(1e-6);
    };
    test(uniform([40, 3], 2));
    test(integers([40, 3], 3, [-5, 5]));
    test({ ...integers([40, 3], 4, [0, 2]), dtype: 'bool' });
  });

  it('do not depend on the order', () => {
    const updates = uniform([500], 1);
    const sumOf = (data: Float32Array) => {
      const indices = { ...integers([500, 1], 2, [0, 1]) };
      return lower(scatterCase(indices, { ...updates, data }, [1]), FLOAT32).values(runOnCpu)[0][0];
    };
    expect(sumOf(updates.data.toReversed() as Float32Array)).toBe(sumOf(updates.data as Float32Array));
  });

  it.each([1e-42, 1e-30, 1, 3e35])('keep the precision of floats of size %f', (size) => {
    const updates = { ...uniform([100], 1) };
    const data = updates.data.map((x) => x * size) as Float32Array;
    const exact = [...data].reduce((sum, x) => sum + x, 0);
    const indices = { ...integers([100, 1], 2, [0, 1]) };
    const [[sum]] = lower(scatterCase(indices, { ...updates, data }, [1]), FLOAT32).values(runOnCpu);
    expect(Math.abs(sum - exact)).toBeLessThanOrEqual(Math.abs(exact) * 2 ** -23 + 2 ** -127);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('are not numbers if an update is %f', (bad) => {
    const indices = { ...integers([3, 1], 1, [0, 1]) };
    const updates = { ...uniform([3], 2), data: Float32Array.of(1, bad, 1) };
    expect([...lower(scatterCase(indices, updates, [2]), FLOAT32).values(runOnCpu)[0]]).toEqual([
      Number.NaN,
      Number.NaN,
    ]);
  });

  it.each([FLOAT32, RANDOM_ORDER])('give the gradient of a table of rows, policy %j', (policy) => {
    const [weight, dy] = [uniform([70, 4], 1), uniform([70, 6], 2)];
    const index = integers([70, 4], 3, [0, 9]);
    const expected = new Float64Array(54);
    for (const [at, row] of index.data.entries())
      for (let d = 0; d < 6; d++)
        expected[row * 6 + d] += weight.data[at] * dy.data[Math.floor(at / 4) * 6 + d];
    const [grad] = lowerFused(
      'WeightedRowSumGradTable',
      { index, weight, dy },
      { shape: [9, 6] },
      policy,
    ).values(runOnCpu);
    expect(relativeError(grad, expected)).toBeLessThan(1e-6);
  });
});

/** The sources of all kernels of an operation, in one. */
function sourceOf({ builder }: Lowered): string {
  const steps = builder.tensors.flatMap(({ definition }) =>
    definition.kind === 'call' && definition.result === 0 ? definition.call.steps : [],
  );
  const kernels = steps.filter((step) => step.kind === 'kernel');
  expect(kernels.length).toBeGreaterThan(0);
  return kernels.map(({ source }, i) => source(`kernel_${i}`)).join('\n');
}

describe.runIf(wheelsFolder)('sources', () => {
  it.each([75, 80, 90, 120])('are compiled by NVRTC for sm_%i without a warning', (architecture) => {
    const own = { hasAlgorithm: () => false };
    const [x, weight, bias, dy] = [
      uniform([130, 192], 1),
      uniform([176, 192], 2),
      uniform([176], 3),
      uniform([130, 176], 4),
    ];
    const index = integers([130, 3], 5, [0, 9]);
    const rows = uniform([130, 6], 8);
    const gradTable = (policy: Policy, values = rows) =>
      lowerFused(
        'WeightedRowSumGradTable',
        { index, weight: uniform([130, 3], 6), dy: values },
        { shape: [9, 6] },
        policy,
      );
    const counts = {
      lower: unsortedSegmentSum,
      operands: [integers([5, 3], 1, [0, 9]), integers([5], 2, [0, 4])],
      outputs: [{ shape: [4, 3], dtype: 'int32' as const }],
    };
    const source = [
      lowerFused('Linear', { x, weight, bias }, {}, { ...FLOAT32, ...own }),
      lowerFused('Linear', { x, weight, bias }, {}, { ...BFLOAT16, ...own }),
      lowerFused('LinearGrad', { dy, x, weight }, {}, { ...BFLOAT16, ...own }),
      lowerFused(
        'SelfAttention',
        { qkv: uniform([2, 7, 18], 7) },
        { heads: 2, scale: 0.3 },
        { ...FLOAT32, ...own },
      ),
      gradTable(FLOAT32),
      gradTable(FLOAT32, { ...rows, storage: 'bfloat16' }),
      gradTable(RANDOM_ORDER),
      lower(counts, FLOAT32),
    ].map(sourceOf);
    const compiler = loadNvrtc(nvrtcPath());
    for (const text of source) expect(compiler.compile(text, architecture).log).toBe('');
  });
});

/** @file Sums of wide rows by index, run on the CPU in several orders of threads and blocks. */
import { afterEach, describe, expect, it } from 'vitest';
import { describeStandIn, start } from '../../../../../test/cuda_on_cpu/bindings.js';
import { relativeError } from '../../../../../test/golden/golden.js';
import { runOnCpu } from '../../../../../test/support/kernel_steps.js';
import {
  FLOAT32,
  integers,
  type Lowered,
  lower,
  lowerFused,
  type Operand,
  uniform,
} from '../../../../../test/support/lowered.js';
import { nvrtcPath, wheelsFolder } from '../../../../../test/support/nvidia_wheels.js';
import { sizeOf } from '../../../../formats/host_tensor.js';
import { loadNvrtc } from '../../api/nvrtc.js';
import type { Policy } from '../lowering.js';
import { scatterNd, unsortedSegmentSum } from './scatter.js';

const RANDOM_ORDER: Policy = { ...FLOAT32, isDeterministic: false };
const POLICIES = [FLOAT32, RANDOM_ORDER];
const SEEDS = ['1', '2', '3'];

/** Operands of the gradient of a table [R, D], of which each index names a row of [low, high). */
function gradCase([N, K, D]: readonly [number, number, number], [low, high]: readonly [number, number]) {
  return {
    index: integers([N, K], 1, [low, high]),
    weight: uniform([N, K], 2),
    dy: uniform([N, D], 3),
  };
}

type GradCase = ReturnType<typeof gradCase>;

const gradOf = (inputs: GradCase, rows: number, policy = FLOAT32) =>
  lowerFused('WeightedRowSumGradTable', inputs, { shape: [rows, inputs.dy.shape[1]] }, policy);

function plainGrad({ index, weight, dy }: GradCase, rows: number): Float64Array {
  const [[, K], [, D]] = [index.shape, dy.shape];
  const sums = new Float64Array(rows * D);
  for (const [at, row] of index.data.entries()) {
    if (row < 0 || row >= rows) continue;
    for (let d = 0; d < D; d++) sums[row * D + d] += weight.data[at] * dy.data[Math.floor(at / K) * D + d];
  }
  return sums;
}

/** Numbers that bfloat16 holds. */
const narrow = (operand: Operand): Operand => ({
  ...operand,
  storage: 'bfloat16',
  data: operand.data.map((x) => Math.round(x * 64) / 64),
});

const segmentSum = (x: Operand, ids: Operand, segments: number, policy = FLOAT32) => {
  const outputs = [{ shape: [segments, ...x.shape.slice(1)], dtype: x.dtype }];
  return lower({ lower: unsortedSegmentSum, operands: [x, ids], outputs }, policy);
};

/** The kernels of the calls of an operation. */
const kernelsOf = ({ builder }: Lowered) =>
  builder.tensors.flatMap(({ definition }) =>
    definition.kind === 'call' && definition.result === 0
      ? definition.call.steps.filter((step) => step.kind === 'kernel')
      : [],
  );

describeStandIn('sums of wide rows', () => {
  afterEach(() => start());

  describe.each(POLICIES)('policy %j', (policy) => {
    it.each([
      // Columns that a thread takes one by one.
      [20, 3, 33, 9],
      // Vectors of columns.
      [20, 3, 132, 9],
      [40, 4, 256, 23],
      // One row, and rows with and without all warps of a block.
      [100, 1, 36, 1],
      [500, 2, 32, 13],
      [300, 3, 128, 14],
      // Many more rows than updates.
      [10, 2, 32, 1001],
    ])('adds %i·%i updates of %i columns to %i rows', (N, K, D, rows) => {
      const inputs = gradCase([N, K, D], [-2, rows + 2]);
      const [grad] = gradOf(inputs, rows, policy).values(runOnCpu);
      expect(relativeError(grad, plainGrad(inputs, rows))).toBeLessThan(1e-6);
    });

    it('finds the rows of a table that takes several tiles of the scan', () => {
      const rows = 40_001;
      const inputs = gradCase([2000, 1, 32], [0, rows]);
      inputs.index.data.set([0, rows - 1, 16_383, 16_384, 32_767, 32_768]);
      const [grad] = gradOf(inputs, rows, policy).values(runOnCpu);
      expect(relativeError(grad, plainGrad(inputs, rows))).toBeLessThan(1e-6);
    });

    it('adds thousands of updates to one row among empty ones', () => {
      const inputs = gradCase([1500, 2, 128], [17, 18]);
      const [grad] = gradOf(inputs, 40, policy).values(runOnCpu);
      expect(relativeError(grad, plainGrad(inputs, 40))).toBeLessThan(1e-6);
      expect(grad.filter((_, i) => Math.floor(i / 128) !== 17).every((x) => x === 0)).toBe(true);
    });

    it.each([33, 128])('reads %i columns of bfloat16', (D) => {
      const inputs = gradCase([60, 2, D], [0, 5]);
      const stored = { ...inputs, weight: narrow(inputs.weight), dy: narrow(inputs.dy) } as GradCase;
      const [grad] = gradOf(stored, 6, policy).values(runOnCpu);
      expect(relativeError(grad, plainGrad(stored, 6))).toBeLessThan(1e-6);
    });

    it('adds updates without weights', () => {
      const [x, ids] = [uniform([200, 40], 1), integers([200], 2, [-1, 4])];
      const ones = { ...uniform([200, 1], 1), data: new Float32Array(200).fill(1) };
      const expected = plainGrad({ index: { ...ids, shape: [200, 1] }, weight: ones, dy: x }, 3);
      expect(relativeError(segmentSum(x, ids, 3, policy).values(runOnCpu)[0], expected)).toBeLessThan(1e-6);
    });

    it.each([40, 128])('adds integers of %i columns exactly, modulo 2^32', (D) => {
      const [x, ids] = [integers([300, D], 1, [-(2 ** 30), 2 ** 30]), integers([300], 2, [0, 3])];
      const expected = new Int32Array(5 * D);
      for (const [i, row] of ids.data.entries())
        for (let d = 0; d < D; d++) expected[row * D + d] += x.data[i * D + d];
      expect([...segmentSum(x, ids, 5, policy).values(runOnCpu)[0]]).toEqual([...expected]);
    });
  });

  it('add rows at index vectors, and leave out what is outside', () => {
    const indices = { ...integers([4, 2], 1, [0, 1]), data: Int32Array.of(1, 0, 0, 2, 1, 0, 1, -1) };
    const updates = uniform([4, 3, 11], 2);
    const shape = [2, 2, 3, 11];
    const outputs = [{ shape, dtype: 'float32' as const }];
    const lowered = lower({ lower: scatterNd, operands: [indices, updates], outputs }, FLOAT32);
    const expected = new Float64Array(sizeOf(shape));
    for (let i = 0; i < 33; i++) expected[2 * 33 + i] = updates.data[i] + updates.data[2 * 33 + i];
    expect(relativeError(lowered.values(runOnCpu)[0], expected)).toBeLessThan(1e-6);
  });

  it.each([1e-30, 1, 3e35])('keep the precision of floats of size %f', (size) => {
    const x = uniform([100, 32], 1);
    const data = x.data.map((value) => value * size) as Float32Array;
    const ids = integers([100], 2, [0, 1]);
    const [sums] = segmentSum({ ...x, data }, ids, 1).values(runOnCpu);
    for (const [d, sum] of sums.entries()) {
      let exact = 0;
      for (let i = 0; i < 100; i++) exact += data[32 * i + d];
      expect(Math.abs(sum - exact)).toBeLessThanOrEqual(Math.abs(exact) * 2 ** -23 + 100 * 2 ** -127);
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('are not numbers if an update is %f', (bad) => {
    for (const count of [3, 200]) {
      const inputs = gradCase([count, 1, 128], [0, 1]);
      inputs.dy.data[5] = bad;
      const [fixed] = gradOf(inputs, 3).values(runOnCpu);
      expect(fixed.every(Number.isNaN)).toBe(true);
      const [plain] = gradOf(inputs, 3, RANDOM_ORDER).values(runOnCpu);
      expect(plain.findIndex((x) => !Number.isFinite(x))).toBe(5);
      expect(plain.filter((x) => Number.isFinite(x))).toHaveLength(3 * 128 - 1);
    }
  });

  it('have the same bits in all orders, unless the policy allows others', () => {
    const inputs = gradCase([400, 3, 128], [0, 19]);
    inputs.index.data.fill(7, 0, 300);
    const bitsOf = (policy: Policy) =>
      Buffer.from(gradOf(inputs, 19, policy).values(runOnCpu)[0].buffer).toString('base64');
    const bits = POLICIES.map((policy) => new Set([bitsOf(policy)]));
    for (const seed of SEEDS) {
      start({ CUDA_ON_CPU_SEED: seed });
      for (const [p, policy] of POLICIES.entries()) bits[p].add(bitsOf(policy));
    }
    expect(bits[0].size).toBe(1);
    expect(bits[1].size).toBeGreaterThan(1);
  });

  it('have atomic operations on numbers of updates only', () => {
    const haveAtomics = (D: number) =>
      kernelsOf(gradOf(gradCase([8, 2, D], [0, 4]), 4)).map(({ source }) =>
        source('kernel').includes('atomicAdd'),
      );
    expect(haveAtomics(32)).toEqual([true, false, true, false]);
    expect(haveAtomics(31)).toEqual([true, false]);
  });

  it('cost each tensor once', () => {
    const inputs = gradCase([100, 4, 64], [0, 30]);
    const [count, scan, place, sum] = kernelsOf(gradOf(inputs, 30)).map(({ cost }) => cost);
    const [row, places] = [4 * 400, 4 * 32];
    expect(count).toEqual({ bytes: row + 2 * places, flops: 0 });
    expect(scan).toEqual({ bytes: 2 * places, flops: 0 });
    expect(place).toEqual({ bytes: 2 * row + 2 * places, flops: 0 });
    const bytes = 4 * (100 * 64 + 400 + 1 + 30 + 400 + 30 * 64);
    expect(sum).toEqual({ bytes, flops: 2 * 400 * 64 });
  });
});

describe.runIf(wheelsFolder)('sources of sums of wide rows', () => {
  it.each([75, 80, 90, 120])('are compiled by NVRTC for sm_%i without a warning', (architecture) => {
    const compiler = loadNvrtc(nvrtcPath());
    const ids = integers([50], 1, [0, 4]);
    const narrowed = (D: number) => {
      const inputs = gradCase([50, 3, D], [0, 9]);
      return { ...inputs, weight: narrow(inputs.weight), dy: narrow(inputs.dy) } as GradCase;
    };
    const lowered = [33, 256].flatMap((D) => [
      ...POLICIES.map((policy) => gradOf(gradCase([50, 3, D], [0, 9]), 9, policy)),
      ...POLICIES.map((policy) => gradOf(narrowed(D), 9, policy)),
      segmentSum(uniform([50, D], 2), ids, 4),
      segmentSum(integers([50, D], 3, [0, 9]), ids, 4),
    ]);
    for (const operation of lowered) {
      const text = kernelsOf(operation).map(({ source }, n) => source(`kernel_${n}`));
      expect(compiler.compile(text.join('\n'), architecture).log).toBe('');
    }
  });
});

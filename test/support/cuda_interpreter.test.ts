/** @file The interpreter of the cuda engine's tensors gives the numbers that the definitions say. */
import { describe, expect, it } from 'vitest';
import type { Gemm } from '../../src/engine/cuda/compile/program.js';
import { Builder } from '../../src/engine/cuda/ir/builder.js';
import type { View } from '../../src/engine/cuda/ir/tensor.js';
import { Interpreter } from './cuda_interpreter.js';

const floats = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
const COST = { bytes: 0, flops: 0 };
const read = (builder: Builder, view: View, ...inputs: number[][]) =>
  Array.from(new Interpreter(builder, inputs).read(view));

it('rounds to bfloat16 as it stores', () => {
  const builder = new Builder();
  const x = builder.input(0, floats(6));
  const numbers = [
    1,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    -(1 + 2 ** -8 + 2 ** -20),
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ];
  const expected = [1, 1, 1 + 2 ** -6, -(1 + 2 ** -7), Number.NaN, Number.POSITIVE_INFINITY];
  expect(read(builder, builder.stored(x, 'bfloat16'), numbers)).toEqual(expected);
});

it('evaluates maps and reductions', () => {
  const builder = new Builder();
  const x = builder.input(0, floats(2, 3));
  const body = (o: Parameters<typeof builder.load>[1], k: typeof o) => builder.load(x, o.mul(3).add(k));
  const numbers = [1, 5, 5, 7, 2, 4];
  const sum = builder.reduce(floats(2), { operator: 'sum', count: 3 }, body);
  const max = builder.reduce(floats(2), { operator: 'max', count: 3 }, body);
  const first = builder.reduce({ shape: [2], dtype: 'int32' }, { operator: 'argMax', count: 3 }, body);
  expect(read(builder, sum, numbers)).toEqual([11, 13]);
  expect(read(builder, max, numbers)).toEqual([5, 7]);
  expect(read(builder, first, numbers)).toEqual([1, 0]);
  expect(read(builder, max, [1, Number.NaN, 2, 3, 4, 5])).toEqual([Number.NaN, 5]);
  const twice = builder.map(floats(2), (i) => builder.load(sum, i).mul(2).add(builder.load(max, i)));
  expect(read(builder, twice, numbers)).toEqual([27, 33]);
});

it('evaluates rows', () => {
  const builder = new Builder();
  const x = builder.input(0, floats(2, 3));
  const [centred, means] = builder.rows(2, 3, (row) => {
    const value = builder.load(x, row.element);
    const mean = row.sum(value).div(3);
    const largest = row.max(value.sub(mean));
    return [
      { ...floats(2, 3), body: value.sub(mean).add(largest) },
      { ...floats(2), isPerRow: true, body: mean },
    ];
  });
  const numbers = [1, 2, 6, 4, 4, 1];
  expect(read(builder, centred, numbers)).toEqual([1, 2, 6, 2, 2, -1]);
  expect(read(builder, means, numbers)).toEqual([3, 3]);
});

it('refuses elements that are out of range, even if nothing selects them', () => {
  const builder = new Builder();
  const x = builder.input(0, floats(3));
  const wrong = builder.map(floats(4), (i) => i.lt(3).select(builder.load(x, i), 0));
  expect(() => read(builder, wrong, [1, 2, 3])).toThrow('no element 3 of 3');
  const right = builder.map(floats(4), (i) => i.lt(3).select(builder.load(x, i.guarded(i.lt(3), 3)), 0));
  expect(read(builder, right, [1, 2, 3])).toEqual([1, 2, 3, 0]);
});

describe('a product', () => {
  const GEMM: Gemm = {
    M: 2,
    N: 2,
    K: 3,
    batch: 1,
    a: { storage: 'float32', isTransposed: false, stride: 3, batchStride: 0 },
    b: { storage: 'float32', isTransposed: false, stride: 2, batchStride: 0 },
    c: { storage: 'float32', stride: 2, batchStride: 0 },
    alpha: 1,
    beta: 0,
    compute: 'float32',
    epilogue: 'none',
    biasStorage: 'float32',
    alignment: 256,
  };
  const A = [1, 2, 3, 4, 5, 6];
  const B = [1, 0, 0, 1, 1, 1];

  interface Product {
    readonly gemm?: Partial<Gemm>;
    /** All operands, by default A and B. */
    readonly operands?: readonly (readonly number[])[];
    /** Sizes of the results. */
    readonly sizes?: readonly number[];
    readonly offset?: number;
  }

  function multiply({ gemm, operands = [A, B], sizes = [4], offset = 0 }: Product): number[][] {
    const builder = new Builder();
    const inputs = operands.map(({ length }, i) => builder.input(i, floats(length)));
    const results = sizes.map((_, result) => ({ result, offset: 0 }));
    const slices = inputs.map(({ tensor }, i) => ({ tensor, offset: i === 0 ? offset : 0 }));
    const views = builder.call(
      sizes.map((size) => floats(size)),
      [
        { kind: 'clear', operands: [], results, cost: COST },
        { kind: 'gemm', gemm: { ...GEMM, ...gemm }, operands: slices, results, cost: COST },
      ],
    );
    const interpreter = new Interpreter(builder, operands);
    return views.map((view) => Array.from(interpreter.read(view)));
  }

  it('of matrices in row-major order', () => {
    expect(multiply({})).toEqual([[4, 5, 10, 11]]);
    expect(multiply({ gemm: { alpha: 2 } })).toEqual([[8, 10, 20, 22]]);
  });

  it('of transposed matrices', () => {
    const operands = [
      [1, 4, 2, 5, 3, 6],
      [1, 0, 1, 0, 1, 1],
    ];
    const gemm: Partial<Gemm> = {
      a: { ...GEMM.a, isTransposed: true, stride: 2 },
      b: { ...GEMM.b, isTransposed: true, stride: 3 },
    };
    expect(multiply({ gemm, operands })).toEqual([[4, 5, 10, 11]]);
  });

  it('of parts with strides', () => {
    const operands = [[9, 1, 2, 3, 9, 4, 5, 6], B];
    expect(multiply({ gemm: { a: { ...GEMM.a, stride: 4 } }, operands, offset: 1 })).toEqual([
      [4, 5, 10, 11],
    ]);
    expect(multiply({ gemm: { c: { ...GEMM.c, stride: 3 } }, sizes: [5] })).toEqual([[4, 5, 0, 10, 11]]);
  });

  it('of a batch, with one matrix that all share', () => {
    const gemm: Partial<Gemm> = {
      batch: 2,
      a: { ...GEMM.a, batchStride: 6 },
      c: { ...GEMM.c, batchStride: 4 },
    };
    const operands = [[...A, ...A.map((x) => 2 * x)], B];
    expect(multiply({ gemm, operands, sizes: [8] })).toEqual([[4, 5, 10, 11, 8, 10, 20, 22]]);
  });

  it('adds to what an earlier step left', () => {
    const builder = new Builder();
    const [a, b] = [builder.input(0, floats(6)), builder.input(1, floats(6))];
    const operands = [a, b].map(({ tensor }) => ({ tensor, offset: 0 }));
    const results = [{ result: 0, offset: 0 }];
    const step = (beta: number) =>
      ({ kind: 'gemm', gemm: { ...GEMM, beta }, operands, results, cost: COST }) as const;
    const [c] = builder.call([floats(4)], [step(0), step(3)]);
    expect(read(builder, c, A, B)).toEqual([16, 20, 40, 44]);
  });

  it('with epilogues', () => {
    const bias = [10, -10];
    expect(multiply({ gemm: { epilogue: 'bias' }, operands: [A, B, bias] })).toEqual([[14, -5, 20, 1]]);
    expect(multiply({ gemm: { epilogue: 'bias-grad' }, sizes: [4, 2] })).toEqual([
      [4, 5, 10, 11],
      [6, 15],
    ]);
  });
});

/** @file Every kernel of tfjs computes the same as tfjs's plain backend for tensors of all types, without elements, and with many axes. */
import { beforeAll, expect, it } from 'vitest';
import { selectEngine } from '../../src/engine/index.js';
import type { LazyDtype } from '../../src/engine/lazy/value.js';
import type { OnnxBackend } from '../../src/engine/onnx/backend.js';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { Rng } from '../../src/util/random.js';
import { TEST_DEVICE } from '../support/engine.js';

type Shape = readonly number[];
/** Makes an operand of numbers that are not 0; the same ones whenever a test runs. */
type Make = (shape: Shape, dtype?: LazyDtype) => tf.Tensor;
/** Calls a kernel for operands of a shape and type. */
type Call = (make: Make, shape: number[], dtype: never) => tf.Tensor | tf.Tensor[];

const SHAPES: readonly Shape[] = [
  [],
  [0],
  [5],
  [2, 0, 3],
  [2, 3],
  [3, 1, 2, 2],
  [1, 2, 1, 2, 2],
  [2, 1, 2, 1, 2, 2],
  [1, 2, 1, 2, 1, 2, 2, 1],
];
const FILLED = SHAPES.filter((shape) => sizeOf(shape) > 0);
const RANKED = SHAPES.filter((shape) => shape.length > 0);
const BOTH = FILLED.filter((shape) => shape.length > 0);

const FLOAT = ['float32'] as const;
const NUMBERS = ['float32', 'int32'] as const;
const BOOL = ['bool'] as const;
const ALL = ['float32', 'int32', 'bool'] as const;

interface Case {
  readonly dtypes: readonly LazyDtype[];
  readonly call: Call;
  readonly shapes: readonly Shape[];
}

const unary = (dtypes: readonly LazyDtype[], f: (x: tf.Tensor) => tf.Tensor, shapes = SHAPES): Case => ({
  dtypes,
  call: (make, shape, dtype) => f(make(shape, dtype)),
  shapes,
});

/** Both operands of one shape, a row that broadcasts, and a scalar that does. */
const binary = (dtypes: readonly LazyDtype[], f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Case => ({
  dtypes,
  call: (make, shape, dtype) => {
    const row = shape.map((extent, axis) => (axis === shape.length - 1 ? extent : 1));
    const x = make(shape, dtype);
    return [f(x, make(shape, dtype)), f(x, make(row, dtype)), f(make([], dtype), x)];
  },
  shapes: SHAPES,
});

const any = (dtypes: readonly LazyDtype[], shapes: readonly Shape[], call: Call): Case => ({
  dtypes,
  call,
  shapes,
});
const axesOf = (shape: Shape) => shape.map((_, axis) => axis);
const ints = (values: number[], shape: number[] = [values.length]) => tf.tensor(values, shape, 'int32');

/** By the name of the kernel. */
const CASES: Record<string, Case> = {
  Abs: unary(NUMBERS, tf.abs),
  Cos: unary(FLOAT, tf.cos),
  Erf: unary(FLOAT, tf.erf),
  Exp: unary(FLOAT, tf.exp),
  Floor: unary(FLOAT, tf.floor),
  Log: unary(FLOAT, (x) => x.abs().log()),
  Log1p: unary(FLOAT, (x) => x.abs().log1p()),
  LogicalNot: unary(BOOL, tf.logicalNot),
  Neg: unary(NUMBERS, tf.neg),
  Relu: unary(NUMBERS, tf.relu),
  Rsqrt: unary(FLOAT, (x) => x.abs().rsqrt()),
  Sigmoid: unary(FLOAT, tf.sigmoid),
  Sign: unary(NUMBERS, tf.sign),
  Sin: unary(FLOAT, tf.sin),
  Sqrt: unary(FLOAT, (x) => x.abs().sqrt()),
  Square: unary(NUMBERS, tf.square),
  Step: unary(NUMBERS, (x) => x.step(0.5)),
  ZerosLike: unary(ALL, tf.zerosLike),
  OnesLike: unary(ALL, tf.onesLike),
  Add: binary(NUMBERS, tf.add),
  Sub: binary(NUMBERS, tf.sub),
  Multiply: binary(NUMBERS, tf.mul),
  RealDiv: binary(NUMBERS, tf.div),
  FloorDiv: binary(NUMBERS, tf.floorDiv),
  Maximum: binary(NUMBERS, tf.maximum),
  Minimum: binary(NUMBERS, tf.minimum),
  Pow: binary(FLOAT, (a, b) => tf.pow(a.abs(), b)),
  Equal: binary(ALL, tf.equal),
  Greater: binary(NUMBERS, tf.greater),
  GreaterEqual: binary(NUMBERS, tf.greaterEqual),
  Less: binary(NUMBERS, tf.less),
  LessEqual: binary(NUMBERS, tf.lessEqual),
  LogicalAnd: binary(BOOL, tf.logicalAnd),
  Cast: any(ALL, SHAPES, (make, shape, dtype) => ALL.map((to) => make(shape, dtype).cast(to))),
  Select: any(ALL, SHAPES, (make, shape, dtype) =>
    tf.where(make(shape, 'bool'), make(shape, dtype), make(shape, dtype)),
  ),
  AddN: any(NUMBERS, SHAPES, (make, shape, dtype) => tf.addN([1, 2, 3].map(() => make(shape, dtype)))),
  Sum: any(NUMBERS, SHAPES, (make, shape, dtype) => {
    const x = make(shape, dtype);
    return [x.sum(), ...axesOf(shape).map((axis) => x.sum(axis, true))];
  }),
  Mean: any(NUMBERS, FILLED, (make, shape, dtype) => make(shape, dtype).mean(axesOf(shape))),
  Max: any(ALL, FILLED, (make, shape, dtype) => {
    const x = make(shape, dtype);
    return [x.max(), ...axesOf(shape).map((axis) => x.max(axis))];
  }),
  ArgMax: any(ALL, BOTH, (make, shape, dtype) =>
    axesOf(shape).map((axis) => make(shape, dtype).argMax(axis)),
  ),
  Softmax: unary(FLOAT, (x) => tf.softmax(x), RANKED),
  Transpose: unary(ALL, (x) => x.transpose()),
  Slice: any(ALL, RANKED, (make, shape, dtype) => {
    const x = make(shape, dtype);
    const rest = shape.map((extent) => Math.max(0, extent - 1));
    return [
      x.slice(
        shape.map((extent) => Math.min(extent, 1)),
        rest,
      ),
      x.slice(
        rest,
        shape.map((extent) => Math.min(extent, 1)),
      ),
    ];
  }),
  Concat: any(ALL, RANKED, (make, shape, dtype) =>
    axesOf(shape).map((axis) => tf.concat([make(shape, dtype), make(shape, dtype)], axis)),
  ),
  Pack: any(ALL, SHAPES, (make, shape, dtype) =>
    [0, shape.length].map((axis) => tf.stack([make(shape, dtype), make(shape, dtype)], axis)),
  ),
  SplitV: any(ALL, RANKED, (make, shape, dtype) =>
    shape.flatMap((extent, axis) =>
      tf.split(make(shape, dtype), extent > 1 ? [1, extent - 1] : [extent], axis),
    ),
  ),
  Unpack: any(ALL, BOTH, (make, shape, dtype) =>
    axesOf(shape).flatMap((axis) => tf.unstack(make(shape, dtype), axis)),
  ),
  PadV2: any(ALL, RANKED, (make, shape, dtype) =>
    make(shape, dtype).pad(
      shape.map((_, axis) => [axis % 2, 1]),
      1,
    ),
  ),
  Tile: unary(ALL, (x) => x.tile(x.shape.map((_, axis) => 1 + (axis % 3))), RANKED),
  GatherV2: any(ALL, BOTH, (make, shape, dtype) => {
    const x = make(shape, dtype);
    const none = x.gather(ints([]));
    return [none, ...shape.map((extent, axis) => x.gather(ints([0, extent - 1, 0]), axis))];
  }),
  OneHot: any(ALL, SHAPES, (_, shape, dtype) => tf.oneHot(tf.zeros(shape, 'int32'), 3, 1, 0, dtype)),
  ScatterNd: any(NUMBERS, [[3], [1], [0]], (make, [rows], dtype) =>
    tf.scatterND(ints([0, 1, 1, 0, 0, 1].slice(0, 2 * rows), [rows, 2]), make([rows, 2], dtype), [2, 2, 2]),
  ),
  UnsortedSegmentSum: any(FLOAT, [[5], [2, 3], [3, 1, 2, 2], [0], [0, 2]], (make, shape, dtype) =>
    tf.unsortedSegmentSum(
      make(shape, dtype),
      ints(Array.from({ length: shape[0] }, (_, i) => i % 2)) as tf.Tensor1D,
      3,
    ),
  ),
  Fill: any(ALL, SHAPES, (_, shape, dtype) => tf.fill(shape, 1, dtype)),
  Range: any(NUMBERS, [[0], [5]], (_, [count], dtype) => tf.range(0, count, 1, dtype)),
  BatchMatMul: any(
    NUMBERS,
    [
      [1, 2, 3, 4],
      [2, 1, 5, 1],
      [3, 4, 1, 2],
      [1, 2, 0, 3],
    ],
    (make, [batch, M, K, N], dtype) =>
      [false, true].flatMap((a) =>
        [false, true].map((b) =>
          tf.matMul(
            make(a ? [batch, K, M] : [batch, M, K], dtype),
            make(b ? [batch, N, K] : [batch, K, N], dtype),
            a,
            b,
          ),
        ),
      ),
  ),
};
/** Kernels with cases in src/engine/onnx/kernels/kernels.test.ts. */
const ELSEWHERE = ['Conv3D', 'Conv3DBackpropInputV2', 'Conv3DBackpropFilterV2'];

function maker(): Make {
  const rng = new Rng(7);
  return (shape, dtype = 'float32') => {
    const signs = Array.from({ length: sizeOf(shape) }, () => 2 * rng.int(2) - 1);
    if (dtype === 'bool')
      return tf.tensor(
        signs.map((sign) => Number(sign > 0)),
        [...shape],
        dtype,
      );
    const sizes = signs.map(() => (dtype === 'int32' ? 1 + rng.int(9) : rng.uniformBetween(0.5, 4)));
    return tf.tensor(
      sizes.map((size, i) => size * signs[i]),
      [...shape],
      dtype,
    );
  };
}

/** The results of all calls, which are computed together. */
async function evaluate({ dtypes, call, shapes }: Case, backend: string) {
  await tf.setBackend(backend);
  const make = maker();
  const results = tf.tidy(() =>
    dtypes.flatMap((dtype) => shapes.flatMap((shape) => call(make, [...shape], dtype as never))),
  );
  const read = await Promise.all(
    results.map(async (x) => ({ shape: x.shape, dtype: x.dtype, values: Array.from(await x.data()) })),
  );
  tf.dispose(results);
  return read;
}

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: TEST_DEVICE, strict: true });
});

it('covers every kernel', () => {
  const { kernels } = tf.backend() as OnnxBackend;
  expect([...Object.keys(CASES), ...ELSEWHERE].sort()).toEqual(kernels.tfjs.map(({ name }) => name).sort());
});

it.each(Object.entries(CASES))('%s has the right values and shapes', async (_, cases) => {
  const expected = await evaluate(cases, 'cpu');
  const actual = await evaluate(cases, 'onnx');
  expect(actual.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(
    expected.map(({ shape, dtype }) => ({ shape, dtype })),
  );
  for (const [i, { shape, dtype, values }] of expected.entries()) {
    for (const [j, x] of values.entries()) {
      const y = actual[i].values[j];
      const isClose = Math.abs(x - y) <= 1e-5 * Math.max(1, Math.abs(x));
      if (!isClose) expect.fail(`result ${i}, ${dtype} [${shape}], element ${j}: ${y} instead of ${x}`);
    }
  }
});

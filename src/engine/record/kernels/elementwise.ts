/** @file Kernels that work element by element, with broadcasting. */
import type { TensorInfo } from '@tensorflow/tfjs';
import type { LazyDtype } from '../../lazy/value.js';
import { tf } from '../../tfjs.js';
import { dtypeOf, type ListInputs, named, type Recording } from '../kernel.js';

export interface StepAttributes {
  /** The result for x ≤ 0. */
  alpha: number;
}

/** {x} → y of the same shape; the result has the operand's type unless `result` gives another. */
function unary(result?: LazyDtype): Recording {
  return {
    record: ({ x }) => ({ inputs: [x], outputs: [{ shape: x.shape, dtype: result ?? dtypeOf(x) }] }),
  };
}

/** {a, b} → y with broadcasting, for operands of one type; the result has their type unless `result` gives another. */
function binary(result?: LazyDtype): Recording {
  return {
    record: ({ a, b }) => {
      const shape = tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
      return { inputs: [a, b], outputs: [{ shape, dtype: result ?? dtypeOf(a) }] };
    },
  };
}

/** A function whose result is float32 for operands of any type. */
const real = unary('float32');

const predicate = binary('bool');

/** Converts the type; numbers other than 0 become true. */
const cast: Recording = {
  record: ({ x }, { dtype }) => {
    const to = dtypeOf({ dtype: dtype as string });
    return { inputs: [x], outputs: [{ shape: x.shape, dtype: to }] };
  },
};

const select: Recording = {
  record: ({ condition, t, e }) => {
    // A condition of rank 1 picks rows of operands of higher rank.
    const rank = t.shape.length;
    const shape =
      condition.shape.length === 1 && rank > 1
        ? [condition.shape[0], ...new Array<number>(rank - 1).fill(1)]
        : condition.shape;
    const picked: TensorInfo = { ...condition, shape };
    return { inputs: [picked, t, e], outputs: [{ shape: t.shape, dtype: dtypeOf(t) }] };
  },
};

/** Sum of any number of tensors of one shape. */
const addN: Recording<ListInputs> = {
  record: (terms) => ({
    inputs: terms,
    outputs: [{ shape: terms[0].shape, dtype: dtypeOf(terms[0]) }],
  }),
};

/** 1 for positive x, else `alpha`; NaN stays NaN. */
const step: Recording = {
  record: ({ x }, { alpha }) => ({
    inputs: [x],
    attributes: { alpha },
    outputs: [{ shape: x.shape, dtype: dtypeOf(x) }],
  }),
};

export const elementwiseKernels = named({
  Abs: unary(),
  Cos: real,
  Erf: real,
  Exp: real,
  Floor: real,
  Log: real,
  /** log(1 + x), precise also for small x. */
  Log1p: real,
  LogicalNot: unary(),
  Neg: unary(),
  Relu: unary(),
  Rsqrt: real,
  Sigmoid: real,
  /** −1, 0 or 1; 0 for NaN. */
  Sign: unary(),
  Sin: real,
  Sqrt: real,
  Square: unary(),
  Add: binary(),
  Sub: binary(),
  Multiply: binary(),
  RealDiv: binary('float32'),
  /** ⌊a / b⌋; integers divided by 0 give 0. */
  FloorDiv: binary('int32'),
  Maximum: binary(),
  Minimum: binary(),
  Pow: binary(),
  Equal: predicate,
  Greater: predicate,
  GreaterEqual: predicate,
  Less: predicate,
  LessEqual: predicate,
  LogicalAnd: predicate,
  Cast: cast,
  Step: step,
  Select: select,
  AddN: addN,
});

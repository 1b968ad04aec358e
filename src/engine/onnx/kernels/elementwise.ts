/** @file Kernels that work element by element, with broadcasting. */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs';
import type { LazyDtype } from '../../lazy/value.js';
import type { GraphBuilder } from '../graph_builder.js';
import { dtypeOf, type Kernel } from '../kernel.js';

type UnaryLowering = (builder: GraphBuilder, x: string, dtype: LazyDtype) => string;

/** A kernel {x} → y of one shape; the result's type is the operand's unless given. */
function unary(name: string, lower: string | UnaryLowering, result?: LazyDtype): Kernel {
  const apply: UnaryLowering = typeof lower === 'string' ? (b, x) => b.op(lower, [x]) : lower;
  return {
    name,
    record: ({ x }) => ({ inputs: [x], outputs: [{ shape: x.shape, dtype: result ?? dtypeOf(x) }] }),
    lower: (b, [x]) => apply(b, x.name, x.dtype),
  };
}

type BinaryLowering = (builder: GraphBuilder, a: string, b: string, dtype: LazyDtype) => string;

/** A kernel {a, b} → y with broadcasting; both operands have one type, which is the result's unless given. */
function binary(name: string, lower: string | BinaryLowering, result?: LazyDtype): Kernel {
  const apply: BinaryLowering = typeof lower === 'string' ? (g, a, b) => g.op(lower, [a, b]) : lower;
  return {
    name,
    record: ({ a, b }) => {
      const shape = backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
      return { inputs: [a, b], outputs: [{ shape, dtype: result ?? dtypeOf(a) }] };
    },
    lower: (g, [a, b]) => apply(g, a.name, b.name, a.dtype),
  };
}

/** ONNX has no arithmetic on booleans; tfjs computes with 0 and 1. */
function overIntegers(lower: string): BinaryLowering {
  return (g, a, b, dtype) =>
    dtype === 'bool'
      ? g.cast(g.op(lower, [g.cast(a, 'int32'), g.cast(b, 'int32')]), 'bool')
      : g.op(lower, [a, b]);
}

/** Comparisons of booleans compare 0 and 1. */
function comparison(name: string, lower: string, negated = false): Kernel {
  return binary(
    name,
    (g, a, b, dtype) => {
      const operands = dtype === 'bool' ? [g.cast(a, 'int32'), g.cast(b, 'int32')] : [a, b];
      const y = g.op(lower, operands);
      return negated ? g.op('Not', [y]) : y;
    },
    'bool',
  );
}

/** log(1 + x), exact for small x as well: log(u)·x/(u − 1) with u = 1 + x as it is rounded. */
function log1p(g: GraphBuilder, x: string): string {
  const one = g.scalar(1);
  const u = g.op('Add', [x, one]);
  const rounded = g.op('Sub', [u, one]);
  const exact = g.op('Mul', [g.op('Log', [u]), g.op('Div', [x, rounded])]);
  // Nothing of x is left in u, or u is infinite.
  const isTiny = g.op('Equal', [rounded, g.scalar(0)]);
  const isInfinite = g.op('Equal', [u, g.scalar(Number.POSITIVE_INFINITY)]);
  return g.op('Where', [isTiny, x, g.op('Where', [isInfinite, u, exact])]);
}

/** Casts as JavaScript's typed arrays do: towards zero, NaN to 0; to bool: whether it is not 0. */
const cast: Kernel = {
  name: 'Cast',
  record: ({ x }, { dtype }) => {
    const to = dtypeOf({ dtype: dtype as string });
    return { inputs: [x], outputs: [{ shape: x.shape, dtype: to }] };
  },
  lower: (g, [x], { outputs: [{ dtype }] }) => {
    if (x.dtype === 'float32' && dtype === 'int32') {
      const number = g.op('Where', [g.op('IsNaN', [x.name]), g.scalar(0), x.name]);
      return g.cast(number, 'int32');
    }
    return g.cast(x.name, dtype);
  },
};

const select: Kernel = {
  name: 'Select',
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
  lower: (g, [condition, t, e]) => g.op('Where', [condition.name, t.name, e.name]),
};

/** Sum of any number of tensors of one shape. */
const addN: Kernel = {
  name: 'AddN',
  record: (inputs) => {
    const terms = Object.values(inputs);
    return { inputs: terms, outputs: [{ shape: terms[0].shape, dtype: dtypeOf(terms[0]) }] };
  },
  lower: (g, terms) =>
    terms[0].dtype === 'float32'
      ? g.op(
          'Sum',
          terms.map(({ name }) => name),
        )
      : terms.slice(1).reduce((sum, { name }) => g.op('Add', [sum, name]), terms[0].name),
};

/** 1 above 0, `alpha` elsewhere. */
const step: Kernel = {
  name: 'Step',
  record: ({ x }, { alpha }) => ({
    inputs: [x],
    attributes: { alpha },
    outputs: [{ shape: x.shape, dtype: dtypeOf(x) }],
  }),
  lower: (g, [x], { attributes }) => {
    const { alpha } = attributes as { alpha: number };
    const zero = g.scalar(0, x.dtype);
    const y = g.op('Where', [
      g.op('Greater', [x.name, zero]),
      g.scalar(1, x.dtype),
      g.scalar(alpha, x.dtype),
    ]);
    return x.dtype === 'float32' ? g.op('Where', [g.op('IsNaN', [x.name]), x.name, y]) : y;
  },
};

const floored = (g: GraphBuilder, x: string, dtype: LazyDtype) =>
  dtype === 'float32' ? g.op('Floor', [x]) : x;

export const elementwiseKernels: Kernel[] = [
  unary('Abs', 'Abs'),
  unary('Cos', 'Cos'),
  unary('Erf', 'Erf'),
  unary('Exp', 'Exp'),
  unary('Floor', floored),
  unary('IsNan', 'IsNaN', 'bool'),
  unary('Log', 'Log'),
  unary('Log1p', log1p),
  unary('LogicalNot', 'Not'),
  unary('Neg', 'Neg'),
  unary('Reciprocal', 'Reciprocal'),
  unary('Relu', 'Relu'),
  unary('Rsqrt', (g, x) => g.op('Reciprocal', [g.op('Sqrt', [x])])),
  unary('Sigmoid', 'Sigmoid'),
  unary('Sign', 'Sign'),
  unary('Sin', 'Sin'),
  unary('Sqrt', 'Sqrt'),
  unary('Square', (g, x) => g.op('Mul', [x, x])),
  unary('Tanh', 'Tanh'),
  binary('Add', overIntegers('Add')),
  binary('Sub', overIntegers('Sub')),
  binary('Multiply', overIntegers('Mul')),
  binary('RealDiv', 'Div', 'float32'),
  binary('Maximum', overIntegers('Max')),
  binary('Minimum', overIntegers('Min')),
  binary('Pow', 'Pow'),
  binary('SquaredDifference', (g, a, b) => {
    const difference = g.op('Sub', [a, b]);
    return g.op('Mul', [difference, difference]);
  }),
  comparison('Equal', 'Equal'),
  comparison('NotEqual', 'Equal', true),
  comparison('Greater', 'Greater'),
  comparison('GreaterEqual', 'GreaterOrEqual'),
  comparison('Less', 'Less'),
  comparison('LessEqual', 'LessOrEqual'),
  binary('LogicalAnd', 'And', 'bool'),
  binary('LogicalOr', 'Or', 'bool'),
  cast,
  step,
  select,
  addN,
];

/** @file Kernels that work element by element, with broadcasting. */
import type { TensorInfo } from '@tensorflow/tfjs';
import type { LazyDtype } from '../../lazy/value.js';
import { tf } from '../../tfjs.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { dtypeOf, type Kernel, type ListInputs } from '../kernel.js';

/** Adds operators for operands of one type, and returns the name of the result. */
type Formula = (g: GraphBuilder, operands: readonly string[], dtype: LazyDtype) => string;

const operator =
  (op: string): Formula =>
  (g, operands) =>
    g.op(op, operands);

function namesOf(operands: readonly Operand[]): string[] {
  return operands.map(({ name }) => name);
}

/** Names of the operands, booleans as 0 and 1: tfjs computes with booleans, ONNX does not. */
export function numbersOf(g: GraphBuilder, operands: readonly Operand[]): string[] {
  return operands.map(({ name, dtype }) => (dtype === 'bool' ? g.cast(name, 'int32') : name));
}

function floatsOf(g: GraphBuilder, operands: readonly Operand[]): string[] {
  return operands.map(({ name, dtype }) => (dtype === 'float32' ? name : g.cast(name, 'float32')));
}

/** Evaluates a formula over numbers, for a result of the operands' type. */
function compute(g: GraphBuilder, operands: readonly Operand[], formula: Formula): string {
  const [{ dtype }] = operands;
  const y = formula(g, numbersOf(g, operands), dtype === 'bool' ? 'int32' : dtype);
  return dtype === 'bool' ? g.cast(y, 'bool') : y;
}

type Lower = Kernel['lower'];

const arithmetic =
  (formula: Formula): Lower =>
  (g, operands) =>
    compute(g, operands, formula);

/** A kernel {x} → y of the same shape; the result has the operand's type unless `result` gives another. */
function unary(name: string, lower: Lower, result?: LazyDtype): Kernel {
  return {
    name,
    record: ({ x }) => ({ inputs: [x], outputs: [{ shape: x.shape, dtype: result ?? dtypeOf(x) }] }),
    lower,
  };
}

/** A kernel {a, b} → y with broadcasting, for operands of one type; the result has their type unless `result` gives another. */
function binary(name: string, lower: Lower, result?: LazyDtype): Kernel {
  return {
    name,
    record: ({ a, b }) => {
      const shape = tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
      return { inputs: [a, b], outputs: [{ shape, dtype: result ?? dtypeOf(a) }] };
    },
    lower,
  };
}

/** A function whose result is float32 for operands of any type. */
function real(name: string, formula: string | ((g: GraphBuilder, x: string) => string)): Kernel {
  const apply = typeof formula === 'string' ? (g: GraphBuilder, x: string) => g.op(formula, [x]) : formula;
  return unary(name, (g, operands) => apply(g, floatsOf(g, operands)[0]), 'float32');
}

function comparison(name: string, op: string): Kernel {
  return binary(name, (g, operands) => g.op(op, numbersOf(g, operands)), 'bool');
}

/** eˣ. Exponentials of integers are computed in float64, so that they are rounded once. */
const exp = unary(
  'Exp',
  (g, [{ name, dtype }]) =>
    dtype === 'float32' ? g.op('Exp', [name]) : g.cast(g.op('Exp', [g.cast(name, 'float64')]), 'float32'),
  'float32',
);

/** log(1 + x), precise also for small x: log(u)·x/(u − 1) with u = 1 + x after rounding. */
function log1p(g: GraphBuilder, x: string): string {
  const one = g.scalar(1);
  const u = g.op('Add', [x, one]);
  const rounded = g.op('Sub', [u, one]);
  const exact = g.op('Mul', [g.op('Log', [u]), g.op('Div', [x, rounded])]);
  // Either x is lost in u, or u is infinite.
  const isTiny = g.op('Equal', [rounded, g.scalar(0)]);
  const isInfinite = g.op('Equal', [u, g.scalar(Number.POSITIVE_INFINITY)]);
  return g.op('Where', [isTiny, x, g.op('Where', [isInfinite, u, exact])]);
}

/** 1/(1 + e⁻ˣ). ONNX Runtime's Sigmoid is 0 below −18 and has few correct digits for other small values. */
function sigmoid(g: GraphBuilder, x: string): string {
  return g.op('Reciprocal', [g.op('Add', [g.op('Exp', [g.op('Neg', [x])]), g.scalar(1)])]);
}

/** −1, 0 or 1; as in tfjs, 0 for NaN. */
const sign: Formula = (g, [x], dtype) => {
  const y = g.op('Sign', [x]);
  return dtype === 'float32' ? g.op('Where', [g.op('IsNaN', [x]), g.scalar(0), y]) : y;
};

/** ⌊a / b⌋ as int32; integers divided by 0 give 0. */
export const floorDiv = binary(
  'FloorDiv',
  (g, operands) => {
    if (operands[0].dtype === 'float32') return toInt32(g, g.op('Floor', [g.op('Div', namesOf(operands))]));
    // Not in int32: the smallest number divided by −1 overflows, which ends the process.
    const [a, b] = numbersOf(g, operands).map((name) => g.cast(name, 'int64'));
    const zero = g.cast(g.scalar(0, 'int32'), 'int64');
    const isZero = g.op('Equal', [b, zero]);
    const divisor = g.op('Where', [isZero, g.cast(g.scalar(1, 'int32'), 'int64'), b]);
    // Mod has the sign of the divisor, so the difference is a multiple of it.
    const multiple = g.op('Sub', [a, g.op('Mod', [a, divisor])]);
    return g.cast(g.op('Where', [isZero, zero, g.op('Div', [multiple, divisor])]), 'int32');
  },
  'int32',
);

/** Rounds towards zero, with 0 for NaN and the infinities, as in JavaScript's typed arrays. Other numbers have to fit. */
function toInt32(g: GraphBuilder, x: string): string {
  const isNumber = g.op('Less', [g.op('Abs', [x]), g.scalar(Number.POSITIVE_INFINITY)]);
  return g.cast(g.op('Where', [isNumber, x, g.scalar(0)]), 'int32');
}

/** Converts the type; numbers other than 0 become true. */
const cast: Kernel = {
  name: 'Cast',
  record: ({ x }, { dtype }) => {
    const to = dtypeOf({ dtype: dtype as string });
    return { inputs: [x], outputs: [{ shape: x.shape, dtype: to }] };
  },
  lower: (g, [x], { outputs: [{ dtype }] }) =>
    x.dtype === 'float32' && dtype === 'int32' ? toInt32(g, x.name) : g.cast(x.name, dtype),
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
  lower: (g, [condition, ...branches]) =>
    compute(g, branches, (_, names) => g.op('Where', [condition.name, ...names])),
};

/** Sum of any number of tensors of one shape. */
const addN: Kernel<ListInputs> = {
  name: 'AddN',
  record: (terms) => ({
    inputs: terms,
    outputs: [{ shape: terms[0].shape, dtype: dtypeOf(terms[0]) }],
  }),
  lower: arithmetic((g, terms, dtype) =>
    dtype === 'float32' ? g.op('Sum', terms) : terms.reduce((sum, term) => g.op('Add', [sum, term])),
  ),
};

/** 1 for positive x, else `alpha`; NaN stays NaN. */
const step: Kernel = {
  name: 'Step',
  record: ({ x }, { alpha }) => ({
    inputs: [x],
    attributes: { alpha },
    outputs: [{ shape: x.shape, dtype: dtypeOf(x) }],
  }),
  lower: (g, operands, { attributes }) => {
    const { alpha } = attributes as { alpha: number };
    return compute(g, operands, (_, [x], dtype) => {
      const isAbove = g.op('Greater', [x, g.scalar(0, dtype)]);
      const y = g.op('Where', [isAbove, g.scalar(1, dtype), g.scalar(alpha, dtype)]);
      return dtype === 'float32' ? g.op('Where', [g.op('IsNaN', [x]), x, y]) : y;
    });
  },
};

export const elementwiseKernels: Kernel<never>[] = [
  unary('Abs', arithmetic(operator('Abs'))),
  real('Cos', 'Cos'),
  real('Erf', 'Erf'),
  exp,
  real('Floor', 'Floor'),
  real('Log', 'Log'),
  real('Log1p', log1p),
  unary('LogicalNot', (g, operands) => g.op('Not', namesOf(operands))),
  unary('Neg', arithmetic(operator('Neg'))),
  unary('Relu', arithmetic(operator('Relu'))),
  real('Rsqrt', (g, x) => g.op('Reciprocal', [g.op('Sqrt', [x])])),
  real('Sigmoid', sigmoid),
  unary('Sign', arithmetic(sign)),
  real('Sin', 'Sin'),
  real('Sqrt', 'Sqrt'),
  unary(
    'Square',
    arithmetic((g, [x]) => g.op('Mul', [x, x])),
  ),
  binary('Add', arithmetic(operator('Add'))),
  binary('Sub', arithmetic(operator('Sub'))),
  binary('Multiply', arithmetic(operator('Mul'))),
  binary('RealDiv', (g, operands) => g.op('Div', floatsOf(g, operands)), 'float32'),
  floorDiv,
  binary('Maximum', arithmetic(operator('Max'))),
  binary('Minimum', arithmetic(operator('Min'))),
  binary('Pow', arithmetic(operator('Pow'))),
  comparison('Equal', 'Equal'),
  comparison('Greater', 'Greater'),
  comparison('GreaterEqual', 'GreaterOrEqual'),
  comparison('Less', 'Less'),
  comparison('LessEqual', 'LessOrEqual'),
  binary('LogicalAnd', (g, operands) => g.op('And', namesOf(operands)), 'bool'),
  cast,
  step,
  select,
  addN,
];

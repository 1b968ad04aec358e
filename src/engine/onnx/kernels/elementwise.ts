/** @file The lowerings of the kernels that work element by element. */
import type { LazyDtype } from '../../lazy/value.js';
import { elementwiseKernels as recorded, type StepAttributes } from '../../record/kernels/elementwise.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { type Lowering, lowered } from '../kernel.js';

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

const arithmetic =
  (formula: Formula): Lowering =>
  (g, operands) =>
    compute(g, operands, formula);

/** A function whose result is float32 for operands of any type. */
function real(formula: string | ((g: GraphBuilder, x: string) => string)): Lowering {
  const apply = typeof formula === 'string' ? (g: GraphBuilder, x: string) => g.op(formula, [x]) : formula;
  return (g, operands) => apply(g, floatsOf(g, operands)[0]);
}

const comparison =
  (op: string): Lowering =>
  (g, operands) =>
    g.op(op, numbersOf(g, operands));

/** eˣ. Exponentials of integers are computed in float64, so that they are rounded once. */
const exp: Lowering = (g, [{ name, dtype }]) =>
  dtype === 'float32' ? g.op('Exp', [name]) : g.cast(g.op('Exp', [g.cast(name, 'float64')]), 'float32');

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
const floorDiv: Lowering = (g, operands) => {
  if (operands[0].dtype === 'float32') return toInt32(g, g.op('Floor', [g.op('Div', namesOf(operands))]));
  // Not in int32: the smallest number divided by −1 overflows, which ends the process.
  const [a, b] = numbersOf(g, operands).map((name) => g.cast(name, 'int64'));
  const zero = g.cast(g.scalar(0, 'int32'), 'int64');
  const isZero = g.op('Equal', [b, zero]);
  const divisor = g.op('Where', [isZero, g.cast(g.scalar(1, 'int32'), 'int64'), b]);
  // Mod has the sign of the divisor, so the difference is a multiple of it.
  const multiple = g.op('Sub', [a, g.op('Mod', [a, divisor])]);
  return g.cast(g.op('Where', [isZero, zero, g.op('Div', [multiple, divisor])]), 'int32');
};

/** Rounds towards zero, with 0 for NaN and the infinities, as in JavaScript's typed arrays. Other numbers have to fit. */
function toInt32(g: GraphBuilder, x: string): string {
  const isNumber = g.op('Less', [g.op('Abs', [x]), g.scalar(Number.POSITIVE_INFINITY)]);
  return g.cast(g.op('Where', [isNumber, x, g.scalar(0)]), 'int32');
}

const cast: Lowering = (g, [x], { outputs: [{ dtype }] }) =>
  x.dtype === 'float32' && dtype === 'int32' ? toInt32(g, x.name) : g.cast(x.name, dtype);

const select: Lowering = (g, [condition, ...branches]) =>
  compute(g, branches, (_, names) => g.op('Where', [condition.name, ...names]));

const addN = arithmetic((g, terms, dtype) =>
  dtype === 'float32' ? g.op('Sum', terms) : terms.reduce((sum, term) => g.op('Add', [sum, term])),
);

const step: Lowering = (g, operands, { attributes }) => {
  const { alpha } = attributes as StepAttributes;
  return compute(g, operands, (_, [x], dtype) => {
    const isAbove = g.op('Greater', [x, g.scalar(0, dtype)]);
    const y = g.op('Where', [isAbove, g.scalar(1, dtype), g.scalar(alpha, dtype)]);
    return dtype === 'float32' ? g.op('Where', [g.op('IsNaN', [x]), x, y]) : y;
  });
};

export const elementwiseKernels = lowered(recorded, {
  Abs: arithmetic(operator('Abs')),
  Cos: real('Cos'),
  Erf: real('Erf'),
  Exp: exp,
  Floor: real('Floor'),
  Log: real('Log'),
  Log1p: real(log1p),
  LogicalNot: (g, operands) => g.op('Not', namesOf(operands)),
  Neg: arithmetic(operator('Neg')),
  Relu: arithmetic(operator('Relu')),
  Rsqrt: real((g, x) => g.op('Reciprocal', [g.op('Sqrt', [x])])),
  Sigmoid: real(sigmoid),
  Sign: arithmetic(sign),
  Sin: real('Sin'),
  Sqrt: real('Sqrt'),
  Square: arithmetic((g, [x]) => g.op('Mul', [x, x])),
  Add: arithmetic(operator('Add')),
  Sub: arithmetic(operator('Sub')),
  Multiply: arithmetic(operator('Mul')),
  RealDiv: (g, operands) => g.op('Div', floatsOf(g, operands)),
  FloorDiv: floorDiv,
  Maximum: arithmetic(operator('Max')),
  Minimum: arithmetic(operator('Min')),
  Pow: arithmetic(operator('Pow')),
  Equal: comparison('Equal'),
  Greater: comparison('Greater'),
  GreaterEqual: comparison('GreaterOrEqual'),
  Less: comparison('Less'),
  LessEqual: comparison('LessOrEqual'),
  LogicalAnd: (g, operands) => g.op('And', namesOf(operands)),
  Cast: cast,
  Step: step,
  Select: select,
  AddN: addN,
});

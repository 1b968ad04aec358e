/** @file Lowerings of operations that work element by element, with broadcasting. */
import type { GraphNode } from '../../lazy/compiler.js';
import type { Builder, TensorInfo } from '../ir/builder.js';
import { broadcastElement } from '../ir/coordinates.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { asNumber, elementsOf, storedIn } from './elements.js';
import { type Lowering, storageLike } from './lowering.js';

/** Computes an element of the result from those of the operands. */
type Formula = (operands: readonly Expr[], node: GraphNode) => Expr;

/** The result of a formula, whose value is converted to the result's type. */
function pointwise(
  builder: Builder,
  operands: readonly View[],
  info: TensorInfo,
  formula: (operands: readonly Expr[]) => Expr,
): View {
  return elementsOf(builder, info, (i) => {
    const size = i.range.max + 1;
    const elements = operands.map((operand) =>
      // With as many elements as the result, only axes of length 1 differ.
      builder.load(
        operand,
        operand.tensor.size === size ? i : broadcastElement(i, info.shape, operand.shape),
      ),
    );
    return formula(elements);
  });
}

/** Arithmetic that is as good in bfloat16: the result is stored like the operands. */
const arithmetic =
  (formula: Formula): Lowering =>
  (builder, operands, node) => {
    const [output] = node.outputs;
    const size = output.shape.reduce((product, extent) => product * extent, 1);
    const info = storedIn(storageLike(operands, size), output);
    return pointwise(builder, operands, info, (elements) => formula(elements.map(asNumber), node));
  };

/** A function of numbers. */
const numeric =
  (formula: Formula): Lowering =>
  (builder, operands, node) =>
    pointwise(builder, operands, node.outputs[0], (elements) => formula(elements.map(asNumber), node));

/** A function of floats, for operands of any type. */
const real =
  (formula: Formula): Lowering =>
  (builder, operands, node) =>
    pointwise(builder, operands, node.outputs[0], (elements) =>
      formula(
        elements.map((x) => x.cast('float')),
        node,
      ),
    );

/** A function of booleans. */
const logical =
  (formula: Formula): Lowering =>
  (builder, operands, node) =>
    pointwise(builder, operands, node.outputs[0], (elements) => formula(elements, node));

/** A number of the type of x. */
const like = (x: Expr, value: number) => x.pool.constant(value, x.type);

/** Exponentials of integers are computed in float64, so that they are rounded once. */
const exp: Lowering = (builder, operands, node) =>
  pointwise(builder, operands, node.outputs[0], ([x]) =>
    x.type === 'float' ? x.fn('exp') : x.cast('float').fn('exp64'),
  );

/** −1, 0 or 1; as in tfjs, 0 for NaN. */
const sign: Formula = ([x]) => x.gt(0).select(like(x, 1), x.lt(0).select(like(x, -1), 0));

/** NaN stays NaN, and −0 becomes 0. */
const relu: Formula = ([x]) => x.le(0).select(like(x, 0), x);

/** 1 for positive x, else `alpha`; NaN stays NaN. */
const step: Formula = ([x], { attributes }) => {
  const { alpha } = attributes as { alpha: number };
  const y = x.gt(0).select(like(x, 1), alpha);
  return x.type === 'float' ? x.isNaN().select(x, y) : y;
};

/** ⌊a / b⌋ as int32; integers divided by 0 give 0. */
const floorDiv: Formula = ([a, b]) => (a.type === 'float' ? a.div(b).fn('floor').cast('int') : a.floorDiv(b));

const abs: Formula = ([x]) => (x.type === 'float' ? x.fn('abs') : x.max(x.neg()));

/** Converts the type. */
const cast: Lowering = (builder, [x], { outputs: [output] }) => {
  if (x.tensor.dtype === output.dtype) return builder.reshape(x, output.shape);
  return elementsOf(builder, output, (i) => builder.load(x, i));
};

/** A condition of rank 1 was given the shape of rows when it was recorded. */
const select: Lowering = (builder, [condition, t, e], { outputs: [output] }) => {
  const info = storedIn(storageLike([t, e], t.tensor.size), output);
  return pointwise(builder, [condition, t, e], info, ([c, yes, no]) => c.cast('bool').select(yes, no));
};

export const elementwiseLowerings: Readonly<Record<string, Lowering>> = {
  Abs: arithmetic(abs),
  Cos: real(([x]) => x.fn('cos')),
  Erf: real(([x]) => x.fn('erf')),
  Exp: exp,
  Floor: real(([x]) => x.fn('floor')),
  Log: real(([x]) => x.fn('log')),
  Log1p: real(([x]) => x.fn('log1p')),
  LogicalNot: logical(([x]) => x.not()),
  Neg: arithmetic(([x]) => x.neg()),
  Relu: arithmetic(relu),
  Rsqrt: real(([x]) => x.fn('rsqrt')),
  Sigmoid: real(([x]) => like(x, 1).div(x.neg().fn('exp').add(1))),
  Sign: arithmetic(sign),
  Sin: real(([x]) => x.fn('sin')),
  Sqrt: real(([x]) => x.fn('sqrt')),
  Square: arithmetic(([x]) => x.mul(x)),
  Add: arithmetic(([a, b]) => a.add(b)),
  Sub: arithmetic(([a, b]) => a.sub(b)),
  Multiply: arithmetic(([a, b]) => a.mul(b)),
  RealDiv: real(([a, b]) => a.div(b)),
  FloorDiv: numeric(floorDiv),
  Maximum: arithmetic(([a, b]) => a.max(b)),
  Minimum: arithmetic(([a, b]) => a.min(b)),
  Pow: numeric(([a, b]) => a.pow(b)),
  Equal: numeric(([a, b]) => a.eq(b)),
  Greater: numeric(([a, b]) => a.gt(b)),
  GreaterEqual: numeric(([a, b]) => a.ge(b)),
  Less: numeric(([a, b]) => a.lt(b)),
  LessEqual: numeric(([a, b]) => a.le(b)),
  LogicalAnd: logical(([a, b]) => a.and(b)),
  Cast: cast,
  Step: arithmetic(step),
  Select: select,
  AddN: arithmetic((terms) => terms.reduce((sum, term) => sum.add(term))),
};

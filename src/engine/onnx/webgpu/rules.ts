/** @file Replacements for the operators and types that ONNX Runtime's WebGPU provider lacks. */
import type { NewNode } from '../graph_builder.js';
import { transposedMatrices } from '../kernels/matmul.js';
import { ELEMENT_TYPE, type ElementType, Float } from '../model_format.js';
import type { OnnxInfo } from '../shapes.js';
import type { WebGpuBuilder } from './builder.js';

/** Adds other operators with the same results, or returns null if the provider has this one. */
type Rule = (
  g: WebGpuBuilder,
  node: NewNode,
  infos: readonly OnnxInfo[],
  results: readonly OnnxInfo[],
) => string[] | null;

/** Applies a rule to operands of one type. */
const only =
  (type: ElementType, rule: Rule): Rule =>
  (g, node, infos, results) =>
    infos[0].type === type ? rule(g, node, infos, results) : null;

/** Computes with booleans as int32, for operators that only move elements. */
const movesBooleans: Rule = (g, { op, inputs, attributes }, infos) => {
  if (infos[0].type !== 'bool') return null;
  const numbers = inputs.map((name, i) => (infos[i].type === 'bool' ? g.cast(name, 'int32') : name));
  const count = op === 'Split' ? (infos[1].ints as readonly number[]).length : 1;
  return g.ops(op, numbers, count, attributes).map((y) => g.cast(y, 'bool'));
};

/** Cuts an integer tensor along each axis into what is before, the slice, and what is after. */
const sliceOfIntegers: Rule = (g, { inputs: [x] }, [{ shape }, starts, ends, axes]) => {
  const bounds = (axes.ints ?? []).map((axis, i) => {
    const [start, end] = [starts.ints?.[i] ?? 0, Math.min(ends.ints?.[i] ?? 0, shape[axis])];
    return { axis, sizes: [start, end - start, shape[axis] - end] };
  });
  return [
    bounds.reduce((part, { axis, sizes }) => {
      const filled = sizes.filter((size) => size > 0);
      return g.split(part, filled, axis)[sizes[0] > 0 ? 1 : 0];
    }, x),
  ];
};

/** Products of integers as sums, which are exact. The provider's product of no terms ends the process. */
const matMul: Rule = (g, { inputs: [a, b] }, [{ shape: A, type }, { shape: B }], [{ shape }]) => {
  if (A.at(-1) === 0)
    return [g.op('Expand', [g.scalar(0, type === 'int32' ? type : 'float32'), g.ints(shape)])];
  if (type !== 'int32') return null;
  const left = g.reshape(a, [...A, 1]);
  const right = g.reshape(b, [...B.slice(0, -2), 1, ...B.slice(-2)]);
  const rank = Math.max(A.length, B.length) + 1;
  return [g.op('ReduceSum', [g.op('Mul', [left, right]), g.ints([rank - 2])], { keepdims: 0 })];
};

/** FusedMatMul: as Gemm, or for batches with operands that are turned before and a result that is scaled after it. */
const fusedMatMul: Rule = (g, { inputs: [a, b], attributes }, [{ shape: A }, { shape: B }]) => {
  const {
    transA = 0,
    transB = 0,
    alpha = new Float(1),
  } = attributes as Record<string, number> & {
    alpha?: Float;
  };
  if (A.length === 2 && B.length === 2) return [g.op('Gemm', [a, b], { transA, transB, alpha })];
  const left = transA ? transposedMatrices(g, a, A.length) : a;
  const right = transB ? transposedMatrices(g, b, B.length) : b;
  const product = g.op('MatMul', [left, right]);
  return [alpha.value === 1 ? product : g.op('Mul', [product, g.scalar(alpha.value)])];
};

const sign: Rule = (g, { inputs: [x] }, [{ type }]) => {
  const number = (value: number) => g.scalar(value, type === 'int32' ? 'int32' : 'float32');
  if (type === 'int32') return [g.op('Max', [g.op('Min', [x, number(1)]), number(-1)])];
  const below = g.op('Where', [g.op('Less', [x, number(0)]), number(-1), number(0)]);
  return [g.op('Where', [g.op('Greater', [x, number(0)]), number(1), below])];
};

/** The provider's Relu, and its maximum on some GPUs, turn NaN into 0. */
const relu: Rule = (g, { inputs: [x] }, [{ type }]) => {
  const zero = g.scalar(0, type === 'int32' ? 'int32' : 'float32');
  return [g.op('Where', [g.op('Less', [x, zero]), zero, x])];
};

/** The provider has no float64, and computes in float32 instead. */
const castRule: Rule = (g, { inputs: [x], attributes: { to } }, [{ type }]) => {
  if (to === ELEMENT_TYPE.float64) return [type === 'float32' ? x : g.cast(x, 'float32')];
  return to === ELEMENT_TYPE[type] ? [x] : null;
};

export const RULES: Readonly<Record<string, Rule>> = {
  Abs: only('int32', (g, { inputs: [x] }) => [g.op('Max', [x, g.op('Neg', [x])])]),
  Cast: castRule,
  Concat: movesBooleans,
  Equal: only('bool', (g, { inputs }) => [
    g.op(
      'Equal',
      inputs.map((name) => g.cast(name, 'int32')),
    ),
  ]),
  FusedMatMul: fusedMatMul,
  Identity: only('bool', (g, { inputs: [x] }) => [g.op('And', [x, x])]),
  IsNaN: (g, { inputs: [x] }) => [g.op('Not', [g.op('Equal', [x, x])])],
  MatMul: matMul,
  Neg: only('int32', (g, { inputs: [x] }) => [g.op('Sub', [g.scalar(0, 'int32'), x])]),
  Or: (g, { inputs: [a, b] }) => [g.op('Where', [a, a, b])],
  Pad: movesBooleans,
  Relu: relu,
  Sign: sign,
  Slice: (g, node, infos, results) =>
    (infos[0].type === 'int32' ? sliceOfIntegers : movesBooleans)(g, node, infos, results),
  Split: movesBooleans,
  Sum: (g, { inputs }) => [inputs.reduce((sum, term) => g.op('Add', [sum, term]))],
  Tile: movesBooleans,
  Transpose: movesBooleans,
};

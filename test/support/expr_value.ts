/** @file Evaluates expressions of the cuda engine on the host. */
import type { Expr, ExprKind, FloatFunction } from '../../src/engine/cuda/ir/expr.js';
import type { Tensor } from '../../src/engine/cuda/ir/tensor.js';
import { erf as seriesOfErf } from '../../src/engine_check/double.js';

/** The values of variables, to which those of expressions are added as they become known. */
export type Values = Map<Expr, number>;
/** Reads an element. */
export type Load = (tensor: Tensor, index: number) => number;

type Kind<Op extends ExprKind['op']> = Extract<ExprKind, { op: Op }>;

/** The value of an expression; booleans are 0 and 1. Both branches of a selection are evaluated, as in a kernel. */
export function evaluate(expr: Expr, values: Values, load: Load): number {
  const known = values.get(expr);
  if (known !== undefined) return known;
  const value = compute(expr, (x) => evaluate(x, values, load), load);
  values.set(expr, value);
  return value;
}

function compute({ type, kind }: Expr, value: (x: Expr) => number, load: Load): number {
  switch (kind.op) {
    case 'constant':
      return kind.value;
    case 'variable':
      throw new Error(`the variable ${kind.name} has no value here`);
    case 'load':
      return load(kind.tensor, value(kind.index));
    case 'sum':
      return kind.terms.reduce(
        (sum, [term, factor]) => (sum + Math.imul(factor, value(term))) | 0,
        kind.constant,
      );
    case 'int':
      return ofInts(kind.fn, value(kind.a), value(kind.b)) | 0;
    case 'float':
      return Math.fround(ofFloats(kind.fn, value(kind.a), value(kind.b)));
    case 'function':
      return Math.fround(FUNCTIONS[kind.fn](value(kind.x)));
    case 'compare':
      return Number(comparison(kind.fn, value(kind.a), value(kind.b)));
    case 'logic': {
      const [a, b] = [value(kind.a), value(kind.b)];
      return kind.fn === 'and' ? a & b : a | b;
    }
    case 'not':
      return 1 - value(kind.x);
    case 'select': {
      const [condition, a, b] = [value(kind.condition), value(kind.a), value(kind.b)];
      return condition ? a : b;
    }
    case 'cast':
      return convert(value(kind.x), type);
  }
}

function ofInts(fn: Kind<'int'>['fn'], a: number, b: number): number {
  switch (fn) {
    case 'mul':
      return Math.imul(a, b);
    case 'div':
    case 'mod':
      if (b === 0) throw new Error('an index is divided by 0');
      return fn === 'div' ? Math.trunc(a / b) : a % b;
    case 'floorDiv':
      return b === 0 ? 0 : Math.floor(a / b);
    case 'max':
    case 'min':
    case 'pow':
      return Math[fn](a, b);
  }
}

function ofFloats(fn: Kind<'float'>['fn'], a: number, b: number): number {
  switch (fn) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return a / b;
    case 'max':
    case 'min':
    case 'pow':
      return Math[fn](a, b);
  }
}

/** The series overflows for large numbers, whose value is ±1. */
const erf = (x: number) => (Math.abs(x) > 6 ? Math.sign(x) : seriesOfErf(x));

const FUNCTIONS: Readonly<Record<FloatFunction, (x: number) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  cos: Math.cos,
  erf,
  exp: Math.exp,
  exp64: Math.exp,
  floor: Math.floor,
  log: Math.log,
  log1p: Math.log1p,
  rsqrt: (x) => 1 / Math.sqrt(x),
  sin: Math.sin,
  sqrt: Math.sqrt,
  trunc: Math.trunc,
};

function comparison(fn: Kind<'compare'>['fn'], a: number, b: number): boolean {
  switch (fn) {
    case 'lt':
      return a < b;
    case 'le':
      return a <= b;
    case 'eq':
      return a === b;
    case 'ne':
      return a !== b;
  }
}

/** Integers that do not fit are the nearest that does, as on a GPU. */
function convert(x: number, type: Expr['type']): number {
  if (type === 'float') return Math.fround(x);
  if (type === 'bool') return Number(x !== 0);
  if (!Number.isFinite(x)) return 0;
  return Math.min(Math.max(Math.trunc(x), -(2 ** 31)), 2 ** 31 - 1) + 0;
}

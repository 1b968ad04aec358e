/**
 * @file Scalar expressions: what a kernel computes for one element.
 *
 * Expressions are made by a pool, which simplifies them; the methods here only pass on to it.
 */
import type { ExprPool } from './expr_pool.js';
import type { Range } from './range.js';
import type { Tensor } from './tensor.js';

export type ExprType = 'float' | 'int' | 'bool';

/** Functions of floats, by their names in kernels. */
export type FloatFunction =
  | 'abs'
  | 'ceil'
  | 'cos'
  | 'erf'
  | 'exp'
  | 'exp64'
  | 'floor'
  | 'log'
  | 'log1p'
  | 'rsqrt'
  | 'sin'
  | 'sqrt'
  | 'trunc';

/** Functions of two floats. `max` and `min` return NaN if an operand is NaN. */
export type FloatOperator = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min' | 'pow';
/** Functions of two integers. `div` and `mod` round towards zero; the divisor of `floorDiv` may be 0, which gives 0. */
export type IntOperator = 'mul' | 'div' | 'mod' | 'floorDiv' | 'max' | 'min' | 'pow';
export type Comparison = 'lt' | 'le' | 'eq' | 'ne';

/** Terms of a sum with their constant factors. */
export type Terms = readonly (readonly [term: Expr, factor: number])[];

export type ExprKind =
  | { readonly op: 'constant'; readonly value: number }
  | { readonly op: 'variable'; readonly name: string }
  | { readonly op: 'load'; readonly tensor: Tensor; readonly index: Expr }
  /** constant + Σ factor·term. */
  | {
      readonly op: 'sum';
      readonly terms: Terms;
      readonly constant: number;
    }
  | { readonly op: 'int'; readonly fn: IntOperator; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'float'; readonly fn: FloatOperator; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'function'; readonly fn: FloatFunction; readonly x: Expr }
  | { readonly op: 'compare'; readonly fn: Comparison; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'logic'; readonly fn: 'and' | 'or'; readonly a: Expr; readonly b: Expr }
  | { readonly op: 'not'; readonly x: Expr }
  | {
      readonly op: 'select';
      readonly condition: Expr;
      readonly a: Expr;
      readonly b: Expr;
      /** For an index that `guarded` made: it is below this. */
      readonly extent?: number;
    }
  | { readonly op: 'cast'; readonly x: Expr };

/** A number in an expression, which takes the type of its neighbour. */
export type Operand = Expr | number;

export class Expr {
  readonly type: ExprType;
  readonly kind: ExprKind;
  readonly range: Range;

  constructor(
    readonly pool: ExprPool,
    /** Number within the pool; operands have smaller ones. */
    readonly id: number,
    { type, kind, range }: Pick<Expr, 'type' | 'kind' | 'range'>,
  ) {
    this.type = type;
    this.kind = kind;
    this.range = range;
  }

  /** The value of a constant, else null. */
  get constant(): number | null {
    return this.kind.op === 'constant' ? this.kind.value : null;
  }

  add(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int' ? this.#plus(b, 1) : this.pool.float('add', this, b);
  }

  sub(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int' ? this.#plus(b, -1) : this.pool.float('sub', this, b);
  }

  mul(other: Operand): Expr {
    const b = this.#lift(other);
    if (this.type !== 'int') return this.pool.float('mul', this, b);
    if (b.constant !== null) return this.pool.sum([[this, b.constant]], 0);
    if (this.constant !== null) return this.pool.sum([[b, this.constant]], 0);
    return this.pool.int('mul', this, b);
  }

  /** For integers the quotient rounded towards zero; the divisor must not be 0. */
  div(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int' ? this.pool.quotient(this, b) : this.pool.float('div', this, b);
  }

  /** Remainder of integers, with the sign of this. */
  mod(other: Operand): Expr {
    return this.pool.remainder(this, this.#lift(other));
  }

  max(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int' ? this.pool.int('max', this, b) : this.pool.float('max', this, b);
  }

  min(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int' ? this.pool.int('min', this, b) : this.pool.float('min', this, b);
  }

  pow(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int' ? this.pool.int('pow', this, b) : this.pool.float('pow', this, b);
  }

  /** ⌊this / other⌋ of integers, 0 if `other` is 0. */
  floorDiv(other: Operand): Expr {
    return this.pool.int('floorDiv', this, this.#lift(other));
  }

  neg(): Expr {
    return this.type === 'int'
      ? this.pool.sum([[this, -1]], 0)
      : this.pool.float('mul', this, this.#lift(-1));
  }

  fn(name: FloatFunction): Expr {
    return this.pool.fn(name, this);
  }

  lt(other: Operand): Expr {
    return this.pool.compare('lt', this, this.#lift(other));
  }

  le(other: Operand): Expr {
    return this.pool.compare('le', this, this.#lift(other));
  }

  gt(other: Operand): Expr {
    return this.pool.compare('lt', this.#lift(other), this);
  }

  ge(other: Operand): Expr {
    return this.pool.compare('le', this.#lift(other), this);
  }

  eq(other: Operand): Expr {
    return this.pool.compare('eq', this, this.#lift(other));
  }

  ne(other: Operand): Expr {
    return this.pool.compare('ne', this, this.#lift(other));
  }

  and(other: Expr): Expr {
    return this.pool.logic('and', this, other);
  }

  or(other: Expr): Expr {
    return this.pool.logic('or', this, other);
  }

  not(): Expr {
    return this.pool.not(this);
  }

  /** `a` where this is true, else `b`. Both are computed, so their loads must be in range in any case. */
  select(a: Expr, b: Operand): Expr {
    const other = typeof b === 'number' ? this.pool.constant(b, a.type) : b;
    return this.pool.select(this, a, other);
  }

  /** This index where `condition` is true, which must then be in [0, extent), else 0: an index that is in range in any case. */
  guarded(condition: Expr, extent: number): Expr {
    return this.pool.guarded(condition, this, extent);
  }

  /** Converts the type. Floats become integers by rounding towards zero, NaN and the infinities 0; what is not 0 is true. */
  cast(type: ExprType): Expr {
    return this.pool.cast(this, type);
  }

  /** Whether it is not a number; false for integers. */
  isNaN(): Expr {
    return this.ne(this);
  }

  /** this + factor·other, for integers. */
  #plus(other: Expr, factor: number): Expr {
    const terms: Terms = [
      [this, 1],
      [other, factor],
    ];
    return this.pool.sum(terms, 0);
  }

  #lift(other: Operand): Expr {
    return typeof other === 'number' ? this.pool.constant(other, this.type) : other;
  }
}

/**
 * @file Scalar expressions: what a kernel computes for one element.
 *
 * Equal expressions of one pool are one object, so common parts are computed once. Integer expressions, mostly indices, are
 * simplified as they are made: they are sums of terms with constant factors, and the quotients and remainders that reshaping and
 * transposing produce cancel where they can.
 */
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

export type ExprKind =
  | { readonly op: 'constant'; readonly value: number }
  | { readonly op: 'variable'; readonly name: string }
  | { readonly op: 'load'; readonly tensor: Tensor; readonly index: Expr }
  /** constant + Σ factor·term. */
  | {
      readonly op: 'sum';
      readonly terms: readonly (readonly [term: Expr, factor: number])[];
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

/** The smallest and the largest value that an integer can have. */
interface Range {
  readonly min: number;
  readonly max: number;
}

const ANY: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const BIT: Range = { min: 0, max: 1 };

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
    return this.type === 'int'
      ? this.pool.sum(
          [
            [this, 1],
            [b, 1],
          ],
          0,
        )
      : this.pool.float('add', this, b);
  }

  sub(other: Operand): Expr {
    const b = this.#lift(other);
    return this.type === 'int'
      ? this.pool.sum(
          [
            [this, 1],
            [b, -1],
          ],
          0,
        )
      : this.pool.float('sub', this, b);
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

  #lift(other: Operand): Expr {
    return typeof other === 'number' ? this.pool.constant(other, this.type) : other;
  }
}

const isZeroOrMore = ({ range }: Expr) => range.min >= 0;

/** Makes the expressions of one program. */
export class ExprPool {
  readonly #byKey = new Map<string, Expr>();

  constant(number: number, type: ExprType): Expr {
    const value = castNumber(number, type);
    const text = Object.is(value, -0) ? '-0' : String(value);
    const range = type === 'int' ? { min: value, max: value } : ANY;
    return this.#intern(`c${type}${text}`, type, { op: 'constant', value }, range);
  }

  /** An integer variable of [0, extent). */
  index(name: string, extent: number): Expr {
    const range = { min: 0, max: Math.max(0, extent - 1) };
    return this.#intern(`v${name}:${extent}`, 'int', { op: 'variable', name }, range);
  }

  /** A variable of any value. */
  variable(name: string, type: ExprType): Expr {
    return this.#intern(`v${name}:${type}`, type, { op: 'variable', name }, ANY);
  }

  /** An element of a tensor. The index must be in range. */
  load(tensor: Tensor, index: Expr): Expr {
    const type = tensor.dtype === 'float32' ? 'float' : tensor.dtype === 'int32' ? 'int' : 'bool';
    return this.#intern(
      `l${tensor.id},${index.id}`,
      type,
      { op: 'load', tensor, index },
      type === 'bool' ? BIT : ANY,
    );
  }

  float(fn: FloatOperator, a: Expr, b: Expr): Expr {
    const folded = foldFloat(fn, a, b);
    if (folded !== null) return typeof folded === 'number' ? this.constant(folded, 'float') : folded;
    return this.#intern(`f${fn}${a.id},${b.id}`, 'float', { op: 'float', fn, a, b }, ANY);
  }

  fn(fn: FloatFunction, x: Expr): Expr {
    return this.#intern(`u${fn}${x.id}`, 'float', { op: 'function', fn, x }, ANY);
  }

  int(fn: IntOperator, a: Expr, b: Expr): Expr {
    const range = rangeOfInt(fn, a.range, b.range);
    const folded = foldInt(fn, a.constant, b.constant);
    if (folded !== null) return this.constant(folded, 'int');
    if (fn === 'max' && a.range.min >= b.range.max) return a;
    if (fn === 'min' && a.range.max <= b.range.min) return a;
    return this.#intern(`i${fn}${a.id},${b.id}`, 'int', { op: 'int', fn, a, b }, range);
  }

  /** constant + Σ factor·term. */
  sum(terms: readonly (readonly [Expr, number])[], constant: number): Expr {
    const flat = new Map<Expr, number>();
    let rest = constant;
    const collect = (term: Expr, factor: number): void => {
      if (term.range.min === term.range.max) rest = wrap(rest + Math.imul(factor, term.range.min));
      else if (term.kind.op === 'sum') {
        rest = wrap(rest + Math.imul(factor, term.kind.constant));
        for (const [inner, f] of term.kind.terms) collect(inner, Math.imul(factor, f));
      } else addTerm(flat, term, factor);
    };
    for (const [term, factor] of terms) collect(term, wrap(factor));
    for (let pair = neighbours(flat); pair; pair = neighbours(flat)) {
      for (const digit of [pair.low, pair.high]) flat.delete(digit.term);
      collect(joined(this, pair), pair.low.factor);
    }
    const list = [...flat].sort(([a], [b]) => a.id - b.id);
    if (list.length === 0) return this.constant(rest, 'int');
    if (list.length === 1 && list[0][1] === 1 && rest === 0) return list[0][0];
    const key = `s${rest}${list.map(([term, factor]) => `,${term.id}*${factor}`).join('')}`;
    return this.#intern(key, 'int', { op: 'sum', terms: list, constant: rest }, rangeOfSum(list, rest));
  }

  quotient(a: Expr, b: Expr): Expr {
    const d = b.constant;
    if (d === null || d <= 0 || !isZeroOrMore(a)) return this.int('div', a, b);
    if (d === 1) return a;
    if (Math.floor(a.range.min / d) === Math.floor(a.range.max / d))
      return this.constant(Math.floor(a.range.min / d), 'int');
    const parts = divide(this, a, d);
    if (parts) return parts.quotient;
    // (x / c) / d = x / (c·d), and (x mod (c·d)) / d = (x / d) mod c.
    if (a.kind.op === 'int' && a.kind.fn === 'div' && a.kind.b.constant !== null && isZeroOrMore(a.kind.a))
      return this.quotient(a.kind.a, this.constant(a.kind.b.constant * d, 'int'));
    if (
      a.kind.op === 'int' &&
      a.kind.fn === 'mod' &&
      a.kind.b.constant !== null &&
      a.kind.b.constant % d === 0
    )
      return this.remainder(this.quotient(a.kind.a, b), this.constant(a.kind.b.constant / d, 'int'));
    return this.int('div', a, b);
  }

  remainder(a: Expr, b: Expr): Expr {
    const d = b.constant;
    if (d === null || d <= 0 || !isZeroOrMore(a)) return this.int('mod', a, b);
    const least = Math.floor(a.range.min / d);
    if (least === Math.floor(a.range.max / d)) return this.sum([[a, 1]], -d * least);
    const parts = divide(this, a, d);
    if (parts) return parts.remainder;
    if (
      a.kind.op === 'int' &&
      a.kind.fn === 'mod' &&
      a.kind.b.constant !== null &&
      a.kind.b.constant % d === 0
    )
      return this.remainder(a.kind.a, b);
    return this.int('mod', a, b);
  }

  compare(fn: Comparison, a: Expr, b: Expr): Expr {
    if (a.type === 'int' && b.type === 'int') {
      const known = a === b ? fn === 'le' || fn === 'eq' : compareRanges(fn, a.range, b.range);
      if (known !== null) return this.constant(Number(known), 'bool');
      const simpler = compareWithConstant(this, fn, a, b);
      if (simpler) return simpler;
    }
    return this.#intern(`p${fn}${a.id},${b.id}`, 'bool', { op: 'compare', fn, a, b }, BIT);
  }

  logic(fn: 'and' | 'or', a: Expr, b: Expr): Expr {
    for (const [x, y] of [
      [a, b],
      [b, a],
    ]) {
      if (x.constant === null) continue;
      return Boolean(x.constant) === (fn === 'and') ? y : x;
    }
    return this.#intern(`g${fn}${a.id},${b.id}`, 'bool', { op: 'logic', fn, a, b }, BIT);
  }

  not(x: Expr): Expr {
    if (x.constant !== null) return this.constant(Number(!x.constant), 'bool');
    if (x.kind.op === 'not') return x.kind.x;
    return this.#intern(`n${x.id}`, 'bool', { op: 'not', x }, BIT);
  }

  select(condition: Expr, a: Expr, b: Expr): Expr {
    if (condition.constant !== null) return condition.constant ? a : b;
    if (a === b) return a;
    const range = { min: Math.min(a.range.min, b.range.min), max: Math.max(a.range.max, b.range.max) };
    return this.#intern(`w${condition.id},${a.id},${b.id}`, a.type, { op: 'select', condition, a, b }, range);
  }

  guarded(condition: Expr, index: Expr, extent: number): Expr {
    if (condition.constant !== null) return condition.constant ? index : this.constant(0, 'int');
    if (index.range.min >= 0 && index.range.max < extent) return index;
    const b = this.constant(0, 'int');
    return this.#intern(
      `w${condition.id},${index.id},${b.id}:${extent}`,
      'int',
      { op: 'select', condition, a: index, b, extent },
      { min: 0, max: Math.max(0, extent - 1) },
    );
  }

  cast(x: Expr, type: ExprType): Expr {
    if (x.type === type) return x;
    const value = x.constant;
    if (value !== null) return this.constant(castNumber(value, type), type);
    return this.#intern(
      `t${type}${x.id}`,
      type,
      { op: 'cast', x },
      type === 'float' ? ANY : x.type === 'bool' || type === 'bool' ? BIT : ANY,
    );
  }

  #intern(key: string, type: ExprType, kind: ExprKind, range: Range): Expr {
    let expr = this.#byKey.get(key);
    if (!expr) {
      expr = new Expr(this, this.#byKey.size, { type, kind, range });
      this.#byKey.set(key, expr);
    }
    return expr;
  }
}

function castNumber(value: number, type: ExprType): number {
  if (type === 'float') return Math.fround(value);
  if (type === 'bool') return Number(value !== 0);
  // Not −0, which integers do not have.
  return Number.isFinite(value) ? Math.trunc(value) + 0 : 0;
}

/** An integer as 32-bit arithmetic leaves it. */
const wrap = (value: number) => value | 0;

function foldFloat(fn: FloatOperator, a: Expr, b: Expr): Expr | number | null {
  const [x, y] = [a.constant, b.constant];
  if (fn === 'mul' && x === 1) return b;
  if ((fn === 'mul' || fn === 'div') && y === 1) return a;
  if (x === null || y === null) return null;
  if (fn === 'add') return Math.fround(x + y);
  if (fn === 'sub') return Math.fround(x - y);
  if (fn === 'mul') return Math.fround(Math.fround(x) * Math.fround(y));
  return null;
}

function foldInt(fn: IntOperator, a: number | null, b: number | null): number | null {
  if (a === null || b === null) return null;
  if (fn === 'max' || fn === 'min') return Math[fn](a, b);
  if (fn === 'mul') return Math.imul(a, b);
  if (b === 0 || fn === 'pow' || fn === 'floorDiv') return null;
  return fn === 'div' ? wrap(Math.trunc(a / b)) : a % b;
}

function rangeOfInt(fn: IntOperator, a: Range, b: Range): Range {
  if (fn === 'max') return { min: Math.max(a.min, b.min), max: Math.max(a.max, b.max) };
  if (fn === 'min') return { min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) };
  if (a.min < 0 || b.min < 0) return ANY;
  if (fn === 'mul') return bounded({ min: a.min * b.min, max: a.max * b.max });
  if (fn === 'div') return { min: 0, max: b.min > 0 ? Math.floor(a.max / b.min) : a.max };
  if (fn === 'mod') return { min: 0, max: Math.min(a.max, Math.max(0, b.max - 1)) };
  return ANY;
}

/** A range, unless numbers of 32 bits overflow. */
const bounded = (range: Range): Range => (range.min >= ANY.min && range.max <= ANY.max ? range : ANY);

function rangeOfSum(terms: readonly (readonly [Expr, number])[], constant: number): Range {
  let [min, max] = [constant, constant];
  for (const [{ range }, factor] of terms) {
    min += factor * (factor > 0 ? range.min : range.max);
    max += factor * (factor > 0 ? range.max : range.min);
  }
  return bounded({ min, max });
}

function compareRanges(fn: Comparison, a: Range, b: Range): boolean | null {
  if (fn === 'lt') return a.max < b.min ? true : a.min >= b.max ? false : null;
  if (fn === 'le') return a.max <= b.min ? true : a.min > b.max ? false : null;
  const isApart = a.max < b.min || b.max < a.min;
  const isOne = a.min === a.max && b.min === b.max && a.min === b.min;
  if (isApart) return fn === 'ne';
  return isOne ? fn === 'eq' : null;
}

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

/** high and low of a sum = g·high + low with 0 ≤ low < g; null if its terms do not tell them. */
function splitSum(pool: ExprPool, a: Expr, g: number): { high: Expr; low: Expr } | null {
  if (a.kind.op !== 'sum') return null;
  const { terms, constant } = a.kind;
  const constantOfLow = ((constant % g) + g) % g;
  const low = pool.sum(
    terms.filter(([, factor]) => factor % g !== 0),
    constantOfLow,
  );
  if (low.range.min < 0 || low.range.max >= g) return null;
  const whole = terms.filter(([, factor]) => factor % g === 0);
  const high = pool.sum(
    whole.map(([term, factor]) => [term, factor / g]),
    (constant - constantOfLow) / g,
  );
  return { high, low };
}

/** The numbers above 1 that the factors of a sum have in common with d, largest first. */
function commonFactors(a: Expr, d: number): number[] {
  if (a.kind.op !== 'sum') return [];
  const factors = new Set(a.kind.terms.map(([, factor]) => gcd(d, factor)));
  return [...factors].filter((g) => g > 1).sort((x, y) => y - x);
}

/** Divides a sum ≥ 0 by d if its terms make that easier; else null. */
function divide(pool: ExprPool, a: Expr, d: number): { quotient: Expr; remainder: Expr } | null {
  if (a.kind.op !== 'sum') return null;
  const split = splitSum(pool, a, d);
  // The parts must not be negative, because quotients are rounded towards zero.
  if (split && split.high.range.min >= 0) return { quotient: split.high, remainder: split.low };
  const { terms, constant } = a.kind;
  const constantOfLow = ((constant % d) + d) % d;
  const whole = terms.filter(([, factor]) => factor % d === 0);
  const low = pool.sum(
    terms.filter(([, factor]) => factor % d !== 0),
    constantOfLow,
  );
  const high = pool.sum(
    whole.map(([term, factor]) => [term, factor / d]),
    (constant - constantOfLow) / d,
  );
  if (low !== a && low.range.min >= 0 && high.range.min >= 0) {
    const divisor = pool.constant(d, 'int');
    return { quotient: high.add(pool.quotient(low, divisor)), remainder: pool.remainder(low, divisor) };
  }
  return divideByCommonFactor(pool, a, d);
}

/** (g·high + low) / d = high / (d/g) and (g·high + low) mod d = g·(high mod (d/g)) + low, for a g that divides d. */
function divideByCommonFactor(
  pool: ExprPool,
  a: Expr,
  d: number,
): { quotient: Expr; remainder: Expr } | null {
  for (const g of commonFactors(a, d)) {
    const split = splitSum(pool, a, g);
    if (!split || split.high.range.min < 0) continue;
    const divisor = pool.constant(d / g, 'int');
    const digit = pool.remainder(split.high, divisor);
    return {
      quotient: pool.quotient(split.high, divisor),
      remainder: pool.sum(
        [
          [digit, g],
          [split.low, 1],
        ],
        0,
      ),
    };
  }
  return null;
}

/** `x < bound` and `bound ≤ x` for a constant, with what is known of x; null if nothing makes it simpler. */
function compareWithConstant(pool: ExprPool, fn: Comparison, a: Expr, b: Expr): Expr | null {
  const [x, y] = [a.constant, b.constant];
  const compare = (term: Expr, bound: number) => {
    const limit = pool.constant(bound, 'int');
    return y === null ? pool.compare('le', limit, term) : pool.compare('lt', term, limit);
  };
  if (fn === 'lt' && x !== null) return pool.compare('le', pool.constant(x + 1, 'int'), b);
  if (fn === 'le' && y !== null) return pool.compare('lt', a, pool.constant(y + 1, 'int'));
  const isBound = (fn === 'lt' && y !== null) || (fn === 'le' && x !== null);
  if (!isBound) return null;
  const [term, bound] = y === null ? [b, x as number] : [a, y];
  const { kind } = term;
  // x / d < bound and x < d·bound are the same.
  if (kind.op === 'int' && kind.fn === 'div' && kind.b.constant !== null && isZeroOrMore(kind.a))
    return compare(kind.a, bound * kind.b.constant);
  if (kind.op !== 'sum' || term.range === ANY) return null;
  if (kind.constant !== 0) {
    const rest = pool.sum(kind.terms, 0);
    return rest.range === ANY ? null : compare(rest, bound - kind.constant);
  }
  for (const g of commonFactors(term, bound)) {
    const split = splitSum(pool, term, g);
    if (split) return compare(split.high, bound / g);
  }
  return null;
}

/** A term factor·((x / divisor) mod modulus), or factor·(x / divisor) without a `modulus`. */
interface Digit {
  readonly term: Expr;
  readonly factor: number;
  readonly x: Expr;
  readonly divisor: number;
  readonly modulus: number | null;
}

function digitOf(term: Expr, factor: number): Digit {
  const { kind } = term;
  if (kind.op === 'int' && kind.b.constant !== null && isZeroOrMore(kind.a)) {
    if (kind.fn === 'div') return { term, factor, x: kind.a, divisor: kind.b.constant, modulus: null };
    if (kind.fn === 'mod') {
      const { x, divisor, modulus } = digitOf(kind.a, 1);
      if (modulus === null) return { term, factor, x, divisor, modulus: kind.b.constant };
      return { term, factor, x: kind.a, divisor: 1, modulus: kind.b.constant };
    }
  }
  return { term, factor, x: term, divisor: 1, modulus: null };
}

/** Digits of one number of which `high` follows on `low`. */
interface DigitPair {
  readonly low: Digit;
  readonly high: Digit;
}

function neighbours(terms: ReadonlyMap<Expr, number>): DigitPair | null {
  const digits = [...terms].map(([term, factor]) => digitOf(term, factor));
  for (const low of digits) {
    const { x, divisor, modulus } = low;
    if (modulus === null) continue;
    const high = digits.find(
      (other) =>
        other.x === x && other.divisor === divisor * modulus && other.factor === low.factor * modulus,
    );
    if (high) return { low, high };
  }
  return null;
}

/** m·((x / (d·m)) mod n) + (x / d) mod m = (x / d) mod (m·n). */
function joined(pool: ExprPool, { low: { x, divisor, modulus }, high }: DigitPair): Expr {
  const shifted = pool.quotient(x, pool.constant(divisor, 'int'));
  if (high.modulus === null) return shifted;
  return pool.remainder(shifted, pool.constant((modulus as number) * high.modulus, 'int'));
}

function addTerm(terms: Map<Expr, number>, term: Expr, factor: number): void {
  const total = wrap((terms.get(term) ?? 0) + factor);
  if (total === 0) terms.delete(term);
  else terms.set(term, total);
}

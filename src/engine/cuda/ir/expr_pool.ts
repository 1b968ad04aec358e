/**
 * @file The pool that makes the expressions of one program.
 *
 * Equal expressions of one pool are one object, so common parts are computed once. Integer expressions, mostly indices, are
 * simplified as they are made: they are sums of terms with constant factors, and the quotients and remainders that reshaping and
 * transposing produce cancel where they can.
 */
import { compareWithConstant } from './compare.js';
import { joined, neighbours } from './digits.js';
import { divide } from './divide.js';
import {
  type Comparison,
  Expr,
  type ExprKind,
  type ExprType,
  type FloatFunction,
  type FloatOperator,
  type IntOperator,
  type Terms,
} from './expr.js';
import { castNumber, foldFloat, foldInt, wrap } from './fold.js';
import { ANY, BIT, compareRanges, isZeroOrMore, type Range, rangeOfInt, rangeOfSum } from './range.js';
import type { Tensor } from './tensor.js';

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
  sum(terms: Terms, constant: number): Expr {
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
    const quotient = dividedBy('div', a);
    if (quotient && isZeroOrMore(quotient.x))
      return this.quotient(quotient.x, this.constant(quotient.divisor * d, 'int'));
    const remainder = dividedBy('mod', a);
    if (remainder && remainder.divisor % d === 0)
      return this.remainder(this.quotient(remainder.x, b), this.constant(remainder.divisor / d, 'int'));
    return this.int('div', a, b);
  }

  remainder(a: Expr, b: Expr): Expr {
    const d = b.constant;
    if (d === null || d <= 0 || !isZeroOrMore(a)) return this.int('mod', a, b);
    const least = Math.floor(a.range.min / d);
    if (least === Math.floor(a.range.max / d)) return this.sum([[a, 1]], -d * least);
    const parts = divide(this, a, d);
    if (parts) return parts.remainder;
    const inner = dividedBy('mod', a);
    if (inner && inner.divisor % d === 0) return this.remainder(inner.x, b);
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

/** The operands of a division by a constant; null for other expressions. */
function dividedBy(fn: 'div' | 'mod', { kind }: Expr): { readonly x: Expr; readonly divisor: number } | null {
  if (kind.op !== 'int' || kind.fn !== fn || kind.b.constant === null) return null;
  return { x: kind.a, divisor: kind.b.constant };
}

function addTerm(terms: Map<Expr, number>, term: Expr, factor: number): void {
  const total = wrap((terms.get(term) ?? 0) + factor);
  if (total === 0) terms.delete(term);
  else terms.set(term, total);
}

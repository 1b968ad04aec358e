/** @file Digits of numbers, such as coordinates, and how neighbouring ones become one again. */
import type { Expr } from './expr.js';
import type { ExprPool } from './expr_pool.js';
import { isZeroOrMore } from './range.js';

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

export function neighbours(terms: ReadonlyMap<Expr, number>): DigitPair | null {
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
export function joined(pool: ExprPool, { low: { x, divisor, modulus }, high }: DigitPair): Expr {
  const shifted = pool.quotient(x, pool.constant(divisor, 'int'));
  if (high.modulus === null) return shifted;
  return pool.remainder(shifted, pool.constant((modulus as number) * high.modulus, 'int'));
}

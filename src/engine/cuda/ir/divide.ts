/** @file Quotients and remainders of sums. */
import type { Expr, ExprKind, Terms } from './expr.js';
import type { ExprPool } from './expr_pool.js';

type Sum = Extract<ExprKind, { op: 'sum' }>;

interface Division {
  readonly quotient: Expr;
  readonly remainder: Expr;
}

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

/** A sum g·high + low. */
interface Split {
  readonly high: Expr;
  readonly low: Expr;
}

/** The terms of a sum whose factors g divides, and the others with 0 ≤ constant < g. */
function partition(pool: ExprPool, { terms, constant }: Sum, g: number): Split {
  const constantOfLow = ((constant % g) + g) % g;
  const low = terms.filter(([, factor]) => factor % g !== 0);
  const high = terms.filter(([, factor]) => factor % g === 0);
  return {
    low: pool.sum(low, constantOfLow),
    high: pool.sum(
      high.map(([term, factor]) => [term, factor / g]),
      (constant - constantOfLow) / g,
    ),
  };
}

/** The parts of a sum with 0 ≤ low < g; null if its terms do not tell them. */
export function splitSum(pool: ExprPool, sum: Sum, g: number): Split | null {
  const split = partition(pool, sum, g);
  return split.low.range.min < 0 || split.low.range.max >= g ? null : split;
}

/** The numbers above 1 that the factors of a sum have in common with d, largest first. */
export function commonFactors({ terms }: Sum, d: number): number[] {
  const factors = new Set(terms.map(([, factor]) => gcd(d, factor)));
  return [...factors].filter((g) => g > 1).sort((x, y) => y - x);
}

/** Divides an expression ≥ 0 by d if it is a sum whose terms make that easier; else null. */
export function divide(pool: ExprPool, a: Expr, d: number): Division | null {
  if (a.kind.op !== 'sum') return null;
  const { high, low } = partition(pool, a.kind, d);
  // The parts must not be negative, because quotients are rounded towards zero.
  if (low.range.min >= 0 && high.range.min >= 0) {
    if (low.range.max < d) return { quotient: high, remainder: low };
    if (low !== a) {
      const divisor = pool.constant(d, 'int');
      return { quotient: high.add(pool.quotient(low, divisor)), remainder: pool.remainder(low, divisor) };
    }
  }
  return divideByCommonFactor(pool, a.kind, d);
}

/** (g·high + low) / d = high / (d/g) and (g·high + low) mod d = g·(high mod (d/g)) + low, for a g that divides d. */
function divideByCommonFactor(pool: ExprPool, sum: Sum, d: number): Division | null {
  for (const g of commonFactors(sum, d)) {
    const split = splitSum(pool, sum, g);
    if (!split || split.high.range.min < 0) continue;
    const divisor = pool.constant(d / g, 'int');
    const terms: Terms = [
      [pool.remainder(split.high, divisor), g],
      [split.low, 1],
    ];
    return { quotient: pool.quotient(split.high, divisor), remainder: pool.sum(terms, 0) };
  }
  return null;
}

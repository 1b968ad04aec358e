/** @file Comparisons of integers with constants. */
import { commonFactors, splitSum } from './divide.js';
import type { Comparison, Expr } from './expr.js';
import type { ExprPool } from './expr_pool.js';
import { ANY, isZeroOrMore } from './range.js';

/** `x < bound` and `bound ≤ x` for a constant, with what is known of x; null if nothing makes it simpler. */
export function compareWithConstant(pool: ExprPool, fn: Comparison, a: Expr, b: Expr): Expr | null {
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
  for (const g of commonFactors(kind, bound)) {
    const split = splitSum(pool, kind, g);
    if (split) return compare(split.high, bound / g);
  }
  return null;
}

/** @file The values that integers of expressions can have. */
import type { Comparison, Expr, IntOperator, Terms } from './expr.js';

/** The smallest and the largest value that an integer can have. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

export const ANY: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };
export const BIT: Range = { min: 0, max: 1 };

export function rangeOfInt(fn: IntOperator, a: Range, b: Range): Range {
  if (fn === 'max') return { min: Math.max(a.min, b.min), max: Math.max(a.max, b.max) };
  if (fn === 'min') return { min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) };
  if (a.min < 0 || b.min < 0) return ANY;
  if (fn === 'mul') return bounded({ min: a.min * b.min, max: a.max * b.max });
  if (fn === 'div') return { min: 0, max: b.min > 0 ? Math.floor(a.max / b.min) : a.max };
  if (fn === 'mod') return { min: 0, max: Math.min(a.max, Math.max(0, b.max - 1)) };
  return ANY;
}

export const isZeroOrMore = ({ range }: Expr): boolean => range.min >= 0;

/** A range, unless numbers of 32 bits overflow. */
const bounded = (range: Range): Range => (range.min >= ANY.min && range.max <= ANY.max ? range : ANY);

export function rangeOfSum(terms: Terms, constant: number): Range {
  let [min, max] = [constant, constant];
  for (const [{ range }, factor] of terms) {
    min += factor * (factor > 0 ? range.min : range.max);
    max += factor * (factor > 0 ? range.max : range.min);
  }
  return bounded({ min, max });
}

export function compareRanges(fn: Comparison, a: Range, b: Range): boolean | null {
  if (fn === 'lt') return a.max < b.min ? true : a.min >= b.max ? false : null;
  if (fn === 'le') return a.max <= b.min ? true : a.min > b.max ? false : null;
  const isApart = a.max < b.min || b.max < a.min;
  const isOne = a.min === a.max && b.min === b.max && a.min === b.min;
  if (isApart) return fn === 'ne';
  return isOne ? fn === 'eq' : null;
}

/** @file Sizes and axes in the values of a pickle. */
import { PyTuple, type PyValue } from './python/values.js';

const MAX_RANK = 64;

/** Whether a value of a pickle is a whole number from 0. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A copy of a list of sizes, which the pickle may change later; null for anything else. */
export function asSizes(value: PyValue | undefined): number[] | null {
  const items = value instanceof PyTuple ? value.items : value;
  if (!Array.isArray(items) || items.length > MAX_RANK) return null;
  return items.every(isSize) ? [...(items as number[])] : null;
}

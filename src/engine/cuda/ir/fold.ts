/** @file Operations on constants, as a kernel would compute them. */
import type { Expr, ExprType, FloatOperator, IntOperator } from './expr.js';

export function castNumber(value: number, type: ExprType): number {
  if (type === 'float') return Math.fround(value);
  if (type === 'bool') return Number(value !== 0);
  // Not −0, which integers do not have.
  return Number.isFinite(value) ? Math.trunc(value) + 0 : 0;
}

/** An integer as 32-bit arithmetic leaves it. */
export const wrap = (value: number) => value | 0;

export function foldFloat(fn: FloatOperator, a: Expr, b: Expr): Expr | number | null {
  const [x, y] = [a.constant, b.constant];
  if (fn === 'mul' && x === 1) return b;
  if ((fn === 'mul' || fn === 'div') && y === 1) return a;
  if (x === null || y === null) return null;
  if (fn === 'add') return Math.fround(x + y);
  if (fn === 'sub') return Math.fround(x - y);
  if (fn === 'mul') return Math.fround(Math.fround(x) * Math.fround(y));
  return null;
}

export function foldInt(fn: IntOperator, a: number | null, b: number | null): number | null {
  if (a === null || b === null) return null;
  if (fn === 'max' || fn === 'min') return Math[fn](a, b);
  if (fn === 'mul') return Math.imul(a, b);
  if (b === 0 || fn === 'pow' || fn === 'floorDiv') return null;
  return fn === 'div' ? wrap(Math.trunc(a / b)) : a % b;
}

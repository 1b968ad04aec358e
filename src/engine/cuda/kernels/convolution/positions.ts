/** @file Which positions of a map and of its convolution a tap of the kernel joins, along the axes T, H, W. */
import type { Expr } from '../../ir/expr.js';

/** Geometry along the three axes. */
export interface Taps {
  readonly stride: readonly number[];
  /** Padding before each axis. */
  readonly padding: readonly number[];
  /** 1 by default. */
  readonly dilation?: readonly number[];
}

/** Coordinates along the three axes, and whether they are those of an element. */
export interface Position {
  readonly position: readonly Expr[];
  readonly isInside: Expr;
}

const NOT_DILATED = [1, 1, 1];

/** The position of the map that a tap reads for the position `at` of the result. `extents` are those of the map. */
export function readBy(
  at: readonly Expr[],
  tap: readonly Expr[],
  extents: readonly number[],
  { stride, padding, dilation = NOT_DILATED }: Taps,
): Position {
  const position = at.map((c, i) => c.mul(stride[i]).add(tap[i].mul(dilation[i])).sub(padding[i]));
  return { position, isInside: all(position.flatMap((c, i) => [c.ge(0), c.lt(extents[i])])) };
}

/** The position of the result for which a tap reads the position `at` of the map. `extents` are those of the result. */
export function readFor(
  at: readonly Expr[],
  tap: readonly Expr[],
  extents: readonly number[],
  { stride, padding, dilation = NOT_DILATED }: Taps,
): Position {
  const scaled = at.map((c, i) => c.add(padding[i]).sub(tap[i].mul(dilation[i])));
  const position = scaled.map((c, i) => (stride[i] === 1 ? c : c.max(0).div(stride[i])));
  const bounds = scaled.flatMap((c, i) => [
    c.ge(0),
    c.max(0).mod(stride[i]).eq(0),
    position[i].lt(extents[i]),
  ]);
  return { position, isInside: all(bounds) };
}

const all = (bounds: readonly Expr[]) => bounds.reduce((every, bound) => every.and(bound));

/** @file Coordinates of elements in row-major order. */
import type { Expr } from './expr.js';

/** The coordinates of element `i` of a shape. */
export function coordinatesOf(i: Expr, shape: readonly number[]): Expr[] {
  let stride = 1;
  return shape
    .toReversed()
    .map((extent, axis) => {
      const outer = i.div(stride);
      stride *= Math.max(1, extent);
      return axis === shape.length - 1 ? outer : outer.mod(Math.max(1, extent));
    })
    .toReversed();
}

/** The number of the element with these coordinates in a shape. */
export function elementAt(coordinates: readonly Expr[], shape: readonly number[], zero: Expr): Expr {
  return coordinates.reduce((sum, coordinate, axis) => sum.mul(shape[axis]).add(coordinate), zero);
}

/** The number of the element of `shape` that broadcasting puts at element `i` of `result`. */
export function broadcastElement(i: Expr, result: readonly number[], shape: readonly number[]): Expr {
  const coordinates = coordinatesOf(i, result).slice(result.length - shape.length);
  const zero = i.pool.constant(0, 'int');
  return elementAt(
    coordinates.map((coordinate, axis) => (shape[axis] === 1 ? zero : coordinate)),
    shape,
    zero,
  );
}

/** @file Shapes of VIA 2 and 3 as boxes. */
import type { Corners, Losses } from '../model.js';
import { boxAround, cornersOf, pointsOf } from '../shapes.js';

export type ViaShape = 'rect' | 'circle' | 'ellipse' | 'polygon' | 'point' | 'line' | 'polyline';

/**
 * The box of a shape, or null if it has none; both are noted. Numbers are x, y, width, height (rect), centre and radius (circle),
 * centre and two radii (ellipse), or x and y of each point.
 */
export function viaBox(
  losses: Losses,
  kind: ViaShape,
  numbers: readonly number[],
  where: string,
): Corners | null {
  const [x, y, a, b = a] = numbers;
  if (numbers.some((value) => !Number.isFinite(value)) || numbers.length < MIN_NUMBERS[kind]) {
    losses.add('left', where, `damaged ${kind}`);
    return null;
  }
  switch (kind) {
    case 'rect':
      return cornersOf(x, y, a, b);
    case 'circle':
    case 'ellipse':
      losses.add('boxed', where, kind);
      return [x - a, y - b, x + a, y + b];
    case 'polygon':
      losses.add('boxed', where, kind);
      return boxAround(pointsOf(numbers));
    default:
      losses.add('left', where, kind);
      return null;
  }
}

const MIN_NUMBERS: Record<ViaShape, number> = {
  rect: 4,
  circle: 3,
  ellipse: 4,
  polygon: 6,
  point: 2,
  line: 4,
  polyline: 4,
};

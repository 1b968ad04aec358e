/** @file Bounding boxes of shapes. */
import type { Corners } from './model.js';

type Point = readonly [x: number, y: number];

export function cornersOf(x: number, y: number, width: number, height: number): Corners {
  return [x, y, x + width, y + height];
}

/** The smallest box around points; null if there are fewer than two. */
export function boxAround(points: readonly Point[]): Corners | null {
  if (points.length < 2) return null;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return [min(xs), min(ys), max(xs), max(ys)];
}

function min(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b));
}

function max(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b));
}

/** Pairs of numbers that follow each other, as points. */
export function pointsOf(numbers: readonly number[]): Point[] {
  const points: Point[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) points.push([numbers[i], numbers[i + 1]]);
  return points;
}

/** The box around a box that is turned clockwise by `degrees` about `centre`; all in units that are square. */
export function turnedBox([x1, y1, x2, y2]: Corners, degrees: number, centre: Point): Corners {
  const angle = (degrees * Math.PI) / 180;
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const corners: Point[] = [
    [x1, y1],
    [x2, y1],
    [x2, y2],
    [x1, y2],
  ];
  return boxAround(
    corners.map(([x, y]): Point => {
      const [dx, dy] = [x - centre[0], y - centre[1]];
      return [centre[0] + dx * cos - dy * sin, centre[1] + dx * sin + dy * cos];
    }),
  )!;
}

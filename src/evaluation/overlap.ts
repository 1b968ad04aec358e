/** @file Overlap of boxes in AVA's evaluation, which has no guard against small areas, unlike the loss. */

/** Intersection over union of the box x1, y1, x2, y2 at a[i…i+3] and the one at b[j…j+3]; 0 if they do not touch. */
export function avaIou(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number {
  const width = Math.max(0, Math.min(a[i + 2], b[j + 2]) - Math.max(a[i], b[j]));
  const height = Math.max(0, Math.min(a[i + 3], b[j + 3]) - Math.max(a[i + 1], b[j + 1]));
  const inside = width * height;
  if (inside === 0) return 0;
  const areaA = (a[i + 2] - a[i]) * (a[i + 3] - a[i + 1]);
  const areaB = (b[j + 2] - b[j]) * (b[j + 3] - b[j + 1]);
  return inside / (areaA + areaB - inside);
}

/** Whether the box of a row, x1, y1, x2, y2 at boxes[4·row…4·row+3], has an area. */
export function hasArea(boxes: ArrayLike<number>, row: number): boolean {
  return boxes[4 * row] < boxes[4 * row + 2] && boxes[4 * row + 1] < boxes[4 * row + 3];
}

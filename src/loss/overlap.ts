/** @file Overlap of boxes given as corners (x1, y1, x2, y2), in numbers on the host and as tensors. */
import type * as tf from '@tensorflow/tfjs';
import { columns } from '../model/boxes.js';
import { maximum, minimum, nonNegative } from '../nn/functional.js';

/** Guards the division where both boxes are empty. */
const AREA_EPS = 1e-6;

/** Intersection over union and union of the box at a[i…i+3] and the one at b[j…j+3]. */
export function iou(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
): { iou: number; union: number } {
  const w = Math.max(0, Math.min(a[i + 2], b[j + 2]) - Math.max(a[i], b[j]));
  const h = Math.max(0, Math.min(a[i + 3], b[j + 3]) - Math.max(a[i + 1], b[j + 1]));
  const areaA = (a[i + 2] - a[i]) * (a[i + 3] - a[i + 1]);
  const areaB = (b[j + 2] - b[j]) * (b[j + 3] - b[j + 1]);
  const union = areaA + areaB - w * h;
  return { iou: (w * h) / Math.max(union, AREA_EPS), union };
}

/** Generalised IoU (Rezatofighi et al., 2019): IoU less the share of the enclosing box that neither covers. */
export function generalizedIou(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number {
  const overlap = iou(a, i, b, j);
  const w = Math.max(a[i + 2], b[j + 2]) - Math.min(a[i], b[j]);
  const h = Math.max(a[i + 3], b[j + 3]) - Math.min(a[i + 1], b[j + 1]);
  return overlap.iou - (w * h - overlap.union) / (w * h);
}

/** Generalised IoU of boxes [M, 4] with boxes [M, 4], pair by pair. Returns [M, 1]; differentiable. */
export function generalizedIouPairs(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const [ax1, ay1, ax2, ay2] = columns(a);
  const [bx1, by1, bx2, by2] = columns(b);
  const w = nonNegative(minimum(ax2, bx2).sub(maximum(ax1, bx1)));
  const h = nonNegative(minimum(ay2, by2).sub(maximum(ay1, by1)));
  const intersection = w.mul(h);
  const areaA = ax2.sub(ax1).mul(ay2.sub(ay1));
  const areaB = bx2.sub(bx1).mul(by2.sub(by1));
  const union = areaA.add(areaB).sub(intersection);
  const enclosing = maximum(ax2, bx2)
    .sub(minimum(ax1, bx1))
    .mul(maximum(ay2, by2).sub(minimum(ay1, by1)));
  return intersection.div(union).sub(enclosing.sub(union).div(enclosing));
}

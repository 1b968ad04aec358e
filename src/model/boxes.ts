/**
 * @file The boxes of the decoder. A query has its box as xyzr = (cx, cy, z, r) in pixels, with z = log2 √(w·h) and
 * r = log2(h/w). All other boxes are corners (x1, y1, x2, y2).
 */
import { tf } from '../engine/tfjs.js';
import { exp2 } from '../nn/functional.js';

/** Guards the division by a box's area. */
const AREA_EPS = 1e-6;

/** Splits boxes [..., 4] into their four columns, each [..., 1]. */
export function columns(boxes: tf.Tensor): tf.Tensor[] {
  return tf.split(boxes, 4, boxes.rank - 1);
}

/** Returns width and height of xyzr boxes, each [..., 1]. */
export function boxSize(z: tf.Tensor, r: tf.Tensor): { w: tf.Tensor; h: tf.Tensor } {
  const half = r.mul(0.5);
  return { w: exp2(z.sub(half)), h: exp2(z.add(half)) };
}

/** Converts xyzr [..., 4] to corners [..., 4]. */
export function decodeBoxes(xyzr: tf.Tensor): tf.Tensor {
  const [x, y, z, r] = columns(xyzr);
  const { w, h } = boxSize(z, r);
  const [dx, dy] = [w.mul(0.5), h.mul(0.5)];
  return tf.concat([x.sub(dx), y.sub(dy), x.add(dx), y.add(dy)], -1);
}

/** Moves boxes by the predicted deltas: the centre in units of 2^z, z and r directly. */
export function refineBoxes(xyzr: tf.Tensor, delta: tf.Tensor): tf.Tensor {
  const [x, y, z, r] = columns(xyzr);
  const [dx, dy, dz, dr] = columns(delta);
  const size = exp2(z);
  return tf.concat([x.add(dx.mul(size)), y.add(dy.mul(size)), z.add(dz), r.add(dr)], -1);
}

/** Returns intersection(i, j)/area(i), [B, Q, Q], for corners a, b [B, Q, 4]. Call it within noGrad. */
export function intersectionOverFirst(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const [ax1, ay1, ax2, ay2] = columns(a);
  const [bx1, by1, bx2, by2] = columns(b).map((column) => column.transpose([0, 2, 1]));
  const w = ax2.minimum(bx2).sub(ax1.maximum(bx1)).relu();
  const h = ay2.minimum(by2).sub(ay1.maximum(by1)).relu();
  const area = ax2.sub(ax1).mul(ay2.sub(ay1));
  return w.mul(h).div(area.maximum(AREA_EPS));
}

/** @file Maximum over windows of maps [B, T, H, W, C] (torch.nn.MaxPool3d). */
import { countWindows, type Size3, type Windows } from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';
import { fused } from './fused.js';
import { differentiable } from './tape.js';

const AXES = [0, 1, 2] as const;

/**
 * Maximum over windows; each axis gets ⌊(extent + 2·padding − kernel) / stride⌋ + 1 positions. As in PyTorch, the first of equal
 * values gets the gradient.
 */
export function maxPool3d(
  x: tf.Tensor,
  { kernel, stride = kernel, padding = [0, 0, 0] }: Pick<Windows, 'kernel'> & Partial<Windows>,
): tf.Tensor {
  const pool = { kernel, stride, padding };
  return differentiable(
    [x],
    (save) => {
      const [y] = fused('MaxPool3d', { x }, pool, () => [
        windows(x, pool).reduce((most, next) => most.maximum(next)),
      ]);
      save([x, y]);
      return y;
    },
    (dy, [input, y]) =>
      fused('MaxPool3dGrad', { dy, x: input, y }, pool, () => [gradient(dy, input, y, pool)]),
  );
}

/** Extents of the padded map that strides cut into whole pieces. */
function paddedExtents(count: Size3, { kernel, stride }: Windows): number[] {
  return AXES.map((i) => (count[i] + Math.ceil(kernel[i] / stride[i]) - 1) * stride[i]);
}

function tapsOf({ kernel: [t, h, w] }: Windows): Size3[] {
  const taps: Size3[] = [];
  for (let i = 0; i < t; i++) for (let j = 0; j < h; j++) for (let k = 0; k < w; k++) taps.push([i, j, k]);
  return taps;
}

/** The elements of all windows that each tap of the kernel reads, each in the shape of the result. */
function windows(x: tf.Tensor, pool: Windows): tf.Tensor[] {
  const count = countWindows(x.shape, pool);
  const whole = paddedExtents(count, pool);
  const sides = AXES.map((i): [number, number] => {
    const after = whole[i] - x.shape[i + 1] - pool.padding[i];
    return [pool.padding[i], Math.max(0, after)];
  });
  const padded = x.pad([[0, 0], ...sides, [0, 0]], Number.NEGATIVE_INFINITY);
  const cut = padded.slice([0, 0, 0, 0, 0], [-1, ...whole, -1]);
  return tapsOf(pool).map((tap) => everyNth(cut, tap, pool.stride, count));
}

/** The positions first, first + stride, … along each axis. */
function everyNth(x: tf.Tensor, first: Size3, stride: Size3, count: Size3): tf.Tensor {
  return AXES.reduce((map, i) => {
    const axis = i + 1;
    const [before, after] = [map.shape.slice(0, axis), map.shape.slice(axis + 1)];
    const [outer, inner] = [before, after].map((extents) => extents.reduce((a, b) => a * b, 1));
    const pieces = map.shape[axis] / stride[i];
    const piece = map.reshape([outer, pieces, stride[i], inner]);
    const [skipped, place] = [Math.floor(first[i] / stride[i]), first[i] % stride[i]];
    return piece
      .slice([0, skipped, place, 0], [outer, count[i], 1, inner])
      .reshape([...before, count[i], ...after]);
  }, x);
}

/** Puts the positions of a map at first, first + stride, … of a larger one of zeros: the transpose of `everyNth`. */
function spread(x: tf.Tensor, first: Size3, stride: Size3, whole: readonly number[]): tf.Tensor {
  return AXES.reduce((map, i) => {
    const axis = i + 1;
    const [before, after] = [map.shape.slice(0, axis), map.shape.slice(axis + 1)];
    const [outer, inner] = [before, after].map((extents) => extents.reduce((a, b) => a * b, 1));
    const [skipped, place] = [Math.floor(first[i] / stride[i]), first[i] % stride[i]];
    const pieces = whole[i] / stride[i];
    const count = map.shape[axis];
    return map
      .reshape([outer, count, 1, inner])
      .pad([
        [0, 0],
        [skipped, pieces - skipped - count],
        [place, stride[i] - 1 - place],
        [0, 0],
      ])
      .reshape([...before, whole[i], ...after]);
  }, x);
}

function gradient(dy: tf.Tensor, x: tf.Tensor, y: tf.Tensor, pool: Windows): tf.Tensor {
  const count = countWindows(x.shape, pool);
  const whole = paddedExtents(count, pool);
  const taps = tapsOf(pool);
  let rest = tf.onesLike(dy);
  let sum: tf.Tensor | null = null;
  for (const [k, value] of windows(x, pool).entries()) {
    const isFirst = value.equal(y).cast('float32').mul(rest);
    rest = rest.sub(isFirst);
    const part = spread(dy.mul(isFirst), taps[k], pool.stride, whole);
    sum = sum ? sum.add(part) : part;
  }
  const [pt, ph, pw] = pool.padding;
  const missing = AXES.map((i): [number, number] => [
    0,
    Math.max(0, x.shape[i + 1] + pool.padding[i] - whole[i]),
  ]);
  return (sum as tf.Tensor)
    .pad([[0, 0], ...missing, [0, 0]])
    .slice([0, pt, ph, pw, 0], [-1, ...x.shape.slice(1, 4), -1]);
}

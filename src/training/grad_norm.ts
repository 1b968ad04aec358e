/** @file How large tensors are: norms of gradients, with what is not finite found by the same look, and clipping. */
import * as tf from '@tensorflow/tfjs';

/** Squares of a tensor that is scaled by this do not overflow. */
const SCALE = 2 ** -96;

/**
 * The L2 norm of every tensor; not finite where, and only where, an element is not. One number for each tensor is read, all
 * at once, without blocking this thread on an engine that works ahead.
 */
export async function norms(tensors: readonly tf.Tensor[]): Promise<Float64Array> {
  const squares = await read(tensors, (x) => squareSum(x));
  const result = Float64Array.from(squares, Math.sqrt);
  // Squares of finite numbers may overflow.
  const overflown = [...result.keys()].filter((i) => !Number.isFinite(result[i]));
  if (overflown.length === 0) return result;
  const scaled = await read(
    overflown.map((i) => tensors[i]),
    (x) => squareSum(x.mul(SCALE)),
  );
  for (const [n, i] of overflown.entries()) result[i] = Math.sqrt(scaled[n]) / SCALE;
  return result;
}

/** The largest |x| of every tensor; not finite where an element is not. */
export async function largest(tensors: readonly tf.Tensor[]): Promise<Float64Array> {
  // Not every engine's maximum is NaN where an element is.
  const sizes = await norms(tensors);
  const most = await read(tensors, (x) => x.abs().max());
  return sizes.map((norm, i) => (Number.isFinite(norm) ? most[i] : norm));
}

/** The norm of all elements of tensors with these norms, as torch.nn.utils.get_total_norm. */
export function totalNorm(norms: ArrayLike<number>): number {
  return Math.sqrt(Array.from(norms, (norm) => norm * norm).reduce((sum, square) => sum + square, 0));
}

/** What torch.nn.utils.clip_grad_norm_ multiplies gradients of this total norm by. */
export function clipFactor(norm: number, most: number): number {
  return Math.min(1, most / (norm + 1e-6));
}

/** Squares of so few numbers are added up in one operation. */
const SHORT = 4096;
/** Added up in one row: longer ones lose digits, a million of numbers four of seven. */
const ROW = 256;

/** The sum of all squares, accurate for any number of them. */
function squareSum(x: tf.Tensor): tf.Tensor {
  if (x.size <= SHORT) return tf.matMul(x.reshape([1, x.size]), x.reshape([x.size, 1]));
  const squares = x.square();
  let sums = x.size % ROW === 0 || x.rank < 2 ? squares : squares.sum(-1);
  while (sums.size > ROW && sums.size % ROW === 0) sums = sums.reshape([sums.size / ROW, ROW]).sum(1);
  return sums.sum();
}

async function read(
  tensors: readonly tf.Tensor[],
  measure: (x: tf.Tensor) => tf.Tensor,
): Promise<ArrayLike<number>> {
  if (tensors.length === 0) return [];
  const all = tf.tidy(() => tf.concat1d(tensors.map((x) => measure(x).reshape([1]) as tf.Tensor1D)));
  try {
    return await all.data();
  } finally {
    all.dispose();
  }
}

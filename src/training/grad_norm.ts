/** @file Norms of gradients, and clipping. The norms also show which gradients are not finite. */
import { tf } from '../engine/tfjs.js';
import { fused } from '../nn/fused.js';

/** Factor by which tensors are scaled whose squares would overflow. */
const SCALE = 2 ** -96;

/**
 * Returns the L2 norm of every tensor. A norm is not finite if and only if an element is not. Reads one number per tensor,
 * all at once, and does not block the event loop on the lazy engine.
 */
export async function gradNorms(tensors: readonly tf.Tensor[]): Promise<Float64Array> {
  return await normsOf(tensors, await readAndDispose(squareSums(tensors)));
}

/** The sum of the squares of every tensor, as one tensor; null if there are no tensors. */
export function squareSums(tensors: readonly tf.Tensor[]): tf.Tensor1D | null {
  return measureAll(tensors, squareSum);
}

/** Returns the L2 norms from the sums of squares, as `gradNorms` does. */
export async function normsOf(
  tensors: readonly tf.Tensor[],
  squares: ArrayLike<number>,
): Promise<Float64Array> {
  const result = Float64Array.from(squares, Math.sqrt);
  // Squares of finite numbers may overflow.
  const overflown = [...result.keys()].filter((i) => !Number.isFinite(result[i]));
  if (overflown.length === 0) return result;
  const scaled = await readAndDispose(
    measureAll(
      overflown.map((i) => tensors[i]),
      (x) => squareSum(x.mul(SCALE)),
    ),
  );
  for (const [n, i] of overflown.entries()) result[i] = Math.sqrt(scaled[n]) / SCALE;
  return result;
}

/** Returns the largest absolute value of every tensor; not finite if an element is not. */
export async function maxAbs(tensors: readonly tf.Tensor[]): Promise<Float64Array> {
  // Not every engine's maximum is NaN where an element is.
  const norms = await gradNorms(tensors);
  const maxima = await readAndDispose(measureAll(tensors, (x) => x.abs().max()));
  return norms.map((norm, i) => (Number.isFinite(norm) ? maxima[i] : norm));
}

/** Returns the norm of all tensors together, as torch.nn.utils.get_total_norm. */
export function totalNorm(norms: ArrayLike<number>): number {
  return Math.sqrt(Array.from(norms, (norm) => norm * norm).reduce((sum, square) => sum + square, 0));
}

/** Returns the factor that torch.nn.utils.clip_grad_norm_ applies to gradients with this total norm. */
export function clipFactor(totalNorm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (totalNorm + 1e-6));
}

/** Number of squares that one operation adds up. */
const MAX_SHORT = 4096;
/** Length of a row in a longer sum. A sum of a million numbers in one row would lose four of seven digits. */
const ROW = 256;

/** The sum of all squares, accurate for any number of them. */
function squareSum(x: tf.Tensor): tf.Tensor {
  return fused('SumOfSquares', { x }, {}, () => [composedSquareSum(x)])[0];
}

function composedSquareSum(x: tf.Tensor): tf.Tensor {
  if (x.size <= MAX_SHORT) return tf.matMul(x.reshape([1, x.size]), x.reshape([x.size, 1]));
  const squares = x.square();
  let sums = x.size % ROW === 0 || x.rank < 2 ? squares : squares.sum(-1);
  while (sums.size > ROW && sums.size % ROW === 0) sums = sums.reshape([sums.size / ROW, ROW]).sum(1);
  return sums.sum();
}

function measureAll(tensors: readonly tf.Tensor[], measure: (x: tf.Tensor) => tf.Tensor): tf.Tensor1D | null {
  if (tensors.length === 0) return null;
  return tf.tidy(() => tf.concat1d(tensors.map((x) => measure(x).reshape([1]) as tf.Tensor1D)));
}

/** Reads the numbers of a tensor and disposes it; none without a tensor. */
export async function readAndDispose(numbers: tf.Tensor1D | null): Promise<ArrayLike<number>> {
  if (numbers === null) return [];
  try {
    return await numbers.data();
  } finally {
    numbers.dispose();
  }
}

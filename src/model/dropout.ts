/** @file Masks of drop path and dropout, drawn on the host so that a seed fixes them on every engine. */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../formats/host_tensor.js';

/** Which clips of a batch: `count` of its `of`, from number `first`. */
export interface BatchPart {
  readonly first: number;
  readonly count: number;
  readonly of: number;
}

/**
 * The random numbers of masks. With `part` the model computes some clips of a larger batch, and each gets the masks that
 * it would have if the batch were computed as a whole.
 */
export interface MaskRng {
  /** In [0, 1). */
  uniform(): number;
  readonly part?: BatchPart;
}

const WHOLE: BatchPart = { first: 0, count: 1, of: 1 };

/**
 * 0 with probability `rate`, else 1/(1 − rate); undefined where nothing is dropped. The first axis is that of the clips,
 * or runs over a number of things for each clip.
 */
export function dropMask(shape: number[], rate: number, rng: MaskRng | undefined): tf.Tensor | undefined {
  if (rate === 0 || !rng) return undefined;
  const kept = 1 / (1 - rate);
  const { first, count, of } = rng.part ?? WHOLE;
  const size = sizeOf(shape);
  const perClip = size / count;
  const mask = new Float32Array(size);
  // Numbers of other clips are drawn and not used.
  for (let i = 0; i < perClip * first; i++) rng.uniform();
  for (let i = 0; i < size; i++) mask[i] = rng.uniform() < rate ? 0 : kept;
  for (let i = perClip * (first + count); i < perClip * of; i++) rng.uniform();
  return tf.tensor(mask, shape);
}

/** x · mask, or x where there is no mask. */
export function dropped(x: tf.Tensor, mask: tf.Tensor | undefined): tf.Tensor {
  return mask ? x.mul(mask) : x;
}

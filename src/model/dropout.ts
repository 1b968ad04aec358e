/** @file Masks of drop path and dropout, drawn on the host so that a seed fixes them on every engine. */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../util/host_tensor.js';
import type { Rng } from '../util/random.js';

/** 0 with probability `rate`, else 1/(1 − rate); undefined where nothing is dropped. */
export function dropMask(shape: number[], rate: number, rng: Rng | undefined): tf.Tensor | undefined {
  if (rate === 0 || !rng) return undefined;
  const kept = 1 / (1 - rate);
  const mask = new Float32Array(sizeOf(shape));
  for (let i = 0; i < mask.length; i++) mask[i] = rng.uniform() < rate ? 0 : kept;
  return tf.tensor(mask, shape);
}

/** x · mask, or x where there is no mask. */
export function dropped(x: tf.Tensor, mask: tf.Tensor | undefined): tf.Tensor {
  return mask ? x.mul(mask) : x;
}

/** @file Masks of drop path and dropout, drawn on the host so that a seed gives the same masks on every engine. */
import type * as tf from '@tensorflow/tfjs';
import { feed } from '../engine/programs.js';
import { sizeOf } from '../formats/host_tensor.js';
import { differentiable } from '../nn/tape.js';

/** Consecutive clips of a batch of `batchSize` clips. */
export interface ClipRange {
  /** Index of the first clip. */
  readonly first: number;
  readonly count: number;
  readonly batchSize: number;
}

/**
 * Random numbers for masks. If only some `clips` of a batch are computed, each of them gets the masks that it would have if
 * the whole batch were computed at once.
 */
export interface MaskSource {
  /** Draws a number in [0, 1). */
  uniform(): number;
  readonly clips?: ClipRange;
  /** Is told of every mask that is drawn. */
  onMask?(mask: MaskKind): void;
}

/** What determines a mask beside the random numbers. */
export interface MaskKind {
  /** The first axis holds the clips, or a fixed number of items for each clip. */
  readonly shape: readonly number[];
  /** Probability of dropping an element. */
  readonly rate: number;
}

const ALL_CLIPS: ClipRange = { first: 0, count: 1, batchSize: 1 };

/**
 * Draws a mask with elements 0, with probability `rate`, and 1/(1 − rate). Returns undefined if nothing is dropped. The first
 * axis holds the clips, or a fixed number of items for each clip.
 */
export function dropMask(
  shape: number[],
  rate: number,
  source: MaskSource | undefined,
): tf.Tensor | undefined {
  if (rate === 0 || !source) return undefined;
  source.onMask?.({ shape, rate });
  return feed(drawMask({ shape, rate }, source), shape);
}

/** Draws the elements of a mask. */
export function drawMask({ shape, rate }: MaskKind, source: MaskSource): Float32Array {
  const kept = 1 / (1 - rate);
  const { first, count, batchSize } = source.clips ?? ALL_CLIPS;
  const size = sizeOf(shape);
  const perClip = size / count;
  const mask = new Float32Array(size);
  // The numbers of the other clips are drawn, but not used.
  for (let i = 0; i < perClip * first; i++) source.uniform();
  for (let i = 0; i < size; i++) mask[i] = source.uniform() < rate ? 0 : kept;
  for (let i = perClip * (first + count); i < perClip * batchSize; i++) source.uniform();
  return mask;
}

/** Returns x · mask, or x without a mask. Keeps only the mask for the gradient. */
export function dropped(x: tf.Tensor, mask: tf.Tensor | undefined): tf.Tensor {
  if (!mask) return x;
  return differentiable(
    [x],
    (save) => {
      save([mask]);
      return x.mul(mask);
    },
    (dy, [saved]) => [dy.mul(saved)],
  );
}

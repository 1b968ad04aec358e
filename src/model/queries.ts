/** @file The initial queries of the decoder, and the embedding of their boxes. */
import { tf } from '../engine/tfjs.js';
import { layerNorm } from '../nn/functional.js';

const NORM_EPS = 1e-5;
const TEMPERATURE = 10000;

/** The queries between two decoder stages. */
export interface Queries {
  /** Boxes [B, Q, 4] as xyzr. */
  xyzr: tf.Tensor;
  /** Appearance and position of a person, [B, Q, C]. */
  spatial: tf.Tensor;
  /** Actions of a person, [B, Q, C]. */
  temporal: tf.Tensor;
}

/**
 * Makes the initial queries from the embeddings [Q, C]. Their boxes cover the whole image; whwh [B, 4] is the size of each
 * clip before padding.
 */
export function initialQueries(whwh: tf.Tensor, spatial: tf.Tensor, temporal: tf.Tensor): Queries {
  const [B] = whwh.shape;
  const [Q, C] = spatial.shape;
  const [w, h] = [whwh.slice([0, 0], [B, 1]), whwh.slice([0, 1], [B, 1])];
  const [log2w, log2h] = [w.log().mul(Math.LOG2E), h.log().mul(Math.LOG2E)];
  const box = tf.concat([w.mul(0.5), h.mul(0.5), log2w.add(log2h).mul(0.5), log2h.sub(log2w)], 1);
  const embed = (weight: tf.Tensor) => layerNorm(weight, NORM_EPS).reshape([1, Q, C]).tile([B, 1, 1]);
  return {
    xyzr: box.reshape([B, 1, 4]).tile([1, Q, 1]),
    spatial: embed(spatial),
    temporal: embed(temporal),
  };
}

/** Embeds xyzr [B, Q, 4] as sines and cosines of xyzr/(1000, 1000, 1, 1). Returns [B, Q, 4·features]. */
export function positionEmbedding(xyzr: tf.Tensor, features: number): tf.Tensor {
  const [B, Q] = xyzr.shape;
  const frequencies = Array.from({ length: features / 2 }, (_, i) => TEMPERATURE ** ((-2 * i) / features));
  const angles = xyzr
    .div(tf.tensor1d([1000, 1000, 1, 1]))
    .reshape([B, Q, 4, 1])
    .mul(tf.tensor1d(frequencies));
  return tf.stack([angles.sin(), angles.cos()], -1).reshape([B, Q, 4 * features]);
}

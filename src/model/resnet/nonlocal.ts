/** @file Non-local blocks: attention between the positions of a clip (Wang et al., 2018). */
import type { Size3 } from '../../engine/kernel_contract.js';
import { tf } from '../../engine/tfjs.js';
import { BatchNorm, type NormScope } from '../../nn/batch_norm.js';
import { maxPool3d } from '../../nn/max_pool3d.js';
import { Module } from '../../nn/module.js';
import { Conv, type NormContext } from './block.js';

/** Values of NONLOCAL.INSTANTIATION. */
export type Instantiation = 'softmax' | 'dot_product';

export interface NonlocalShape {
  readonly channels: number;
  readonly innerChannels: number;
  /** Kernel and stride of the pooling of keys and values. */
  readonly pool: Size3;
  /** Number of consecutive runs that the frames of a clip are cut into; positions of different runs do not see each other. */
  readonly groups: number;
  readonly instantiation: Instantiation;
}

/** x + bn(out(attention(θ(x), φ(pool(x)), g(pool(x))))). */
export class Nonlocal extends Module {
  readonly conv_theta: Conv;
  readonly conv_phi: Conv;
  readonly conv_g: Conv;
  readonly conv_out: Conv;
  readonly bn: BatchNorm;
  readonly #shape: NonlocalShape;

  constructor(shape: NonlocalShape, norms: NormContext) {
    super();
    this.#shape = shape;
    const { channels, innerChannels } = shape;
    const conv = (from: number, to: number) => new Conv(from, to, { kernel: [1, 1, 1], hasBias: true });
    this.conv_theta = conv(channels, innerChannels);
    this.conv_phi = conv(channels, innerChannels);
    this.conv_g = conv(channels, innerChannels);
    this.conv_out = conv(innerChannels, channels);
    this.bn = new BatchNorm(channels, norms);
  }

  /** Maps x [B, T, H, W, C] to the same shape. T must be a multiple of the groups. */
  forward(whole: tf.Tensor, scope?: NormScope): tf.Tensor {
    const { pool, groups, innerChannels } = this.#shape;
    const [B, T, ...rest] = whole.shape;
    const x = groups === 1 ? whole : whole.reshape([B * groups, T / groups, ...rest]);
    const pooled = pool.every((extent) => extent === 1) ? x : maxPool3d(x, { kernel: pool });
    const rows = (map: tf.Tensor) => map.reshape([B * groups, -1, innerChannels]) as tf.Tensor3D;
    const theta = rows(this.conv_theta.forward(x));
    const phi = rows(this.conv_phi.forward(pooled));
    const g = rows(this.conv_g.forward(pooled));
    const attended = tf.matMul(this.#weights(theta, phi), g);
    const out = this.conv_out.forward(attended.reshape([...x.shape.slice(0, 4), innerChannels]));
    return this.bn.forward(out, { residual: x, scope }).reshape(whole.shape);
  }

  /** Weights of the values for each position, [B, positions, pooled positions]. */
  #weights(theta: tf.Tensor3D, phi: tf.Tensor3D): tf.Tensor3D {
    const scores = tf.matMul(theta, phi, false, true);
    const { instantiation, innerChannels } = this.#shape;
    if (instantiation === 'softmax') return tf.softmax(scores.mul(innerChannels ** -0.5)) as tf.Tensor3D;
    return scores.div(phi.shape[1]);
  }
}

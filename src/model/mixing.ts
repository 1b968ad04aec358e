/** @file Adaptive mixing: each query generates the matrices that mix its sampled features. */
import { tf } from '../engine/tfjs.js';
import { layerNorm, relu } from '../nn/functional.js';
import { xavierUniform, zeros } from '../nn/init.js';
import { Linear, Sequential } from '../nn/layers.js';
import { Module } from '../nn/module.js';

const NORM_EPS = 1e-5;

/** Mixes channels, then points. Shapes: R = B·Q query rows, G groups of D features, P points in, O points out. */
export class AdaptiveMixing extends Module {
  readonly parameter_generator: Sequential;
  readonly out_proj: Linear;

  constructor(
    dim: number,
    readonly inPoints: number,
    readonly outPoints: number,
    readonly groups: number,
  ) {
    super();
    const D = dim / groups;
    const generated = groups * (D * D + inPoints * outPoints);
    this.parameter_generator = new Sequential([new Linear(dim, generated, { weight: zeros })]);
    this.out_proj = new Linear(outPoints * dim, dim, { weight: xavierUniform });
  }

  /** Adds the mixed samples x [R·G, P, D] to the queries [B, Q, dim]. Returns [B, Q, dim]. */
  forward(x: tf.Tensor, query: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const [B, Q, dim] = query.shape;
      const { inPoints: P, outPoints: O, groups: G } = this;
      const D = dim / G;
      const generated = this.parameter_generator.forward(query).reshape([B * Q * G, D * D + P * O]);
      const [channelMatrix, pointMatrix] = tf.split(generated, [D * D, P * O], 1);
      const normalized = (y: tf.Tensor) => relu(layerNorm(y, NORM_EPS, { axes: 2 }));
      const byChannel = normalized(tf.matMul(x, channelMatrix.reshape([-1, D, D])));
      const byPoint = normalized(tf.matMul(pointMatrix.reshape([-1, O, P]), byChannel));
      return query.add(this.out_proj.forward(byPoint.reshape([B, Q, G * O * D])));
    });
  }
}

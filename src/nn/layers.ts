/** @file The layers that the network is built of, with their weights. */
import type * as tf from '@tensorflow/tfjs';
import { attention } from './attention.js';
import { gelu, layerNorm, linear } from './functional.js';
import { fanInUniform, ones, xavierUniform, zeros } from './init.js';
import { type Initializer, Module, Parameter } from './module.js';

/** A module with one input and one output. */
export abstract class Layer extends Module {
  abstract forward(x: tf.Tensor): tf.Tensor;
}

/** y = x·Wᵀ + b (torch.nn.Linear). */
export class Linear extends Layer {
  readonly weight: Parameter;
  readonly bias?: Parameter;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: Initializer | false; weight?: Initializer } = {},
  ) {
    super();
    const standard = fanInUniform(inFeatures);
    this.weight = new Parameter([outFeatures, inFeatures], options.weight ?? standard);
    if (options.bias !== false) this.bias = new Parameter([outFeatures], options.bias ?? standard);
  }

  override forward(x: tf.Tensor): tf.Tensor {
    return linear(x, this.weight.value, this.bias?.value);
  }
}

/** Layer normalisation over the last axis (torch.nn.LayerNorm). */
export class LayerNorm extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(
    features: number,
    readonly eps = 1e-5,
  ) {
    super();
    this.weight = new Parameter([features], ones);
    this.bias = new Parameter([features], zeros);
  }

  override forward(x: tf.Tensor): tf.Tensor {
    return layerNorm(x, this.eps, { weight: this.weight.value, bias: this.bias.value });
  }
}

/** Self-attention with one projection for queries, keys and values (torch.nn.MultiheadAttention). */
export class MultiheadAttention extends Module {
  readonly in_proj_weight: Parameter;
  readonly in_proj_bias: Parameter;
  readonly out_proj: Linear;

  constructor(
    readonly features: number,
    readonly heads: number,
  ) {
    super();
    this.in_proj_weight = new Parameter([3 * features, features], xavierUniform);
    this.in_proj_bias = new Parameter([3 * features], zeros);
    this.out_proj = new Linear(features, features, { weight: xavierUniform, bias: zeros });
  }

  /** x [B, N, C]; bias on the scores and dropout mask of the probabilities [B·heads, N, N]. Returns [B, N, C]. */
  forward(x: tf.Tensor, bias?: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
    const [B, N, C] = x.shape;
    const D = C / this.heads;
    const [q, k, v] = splitHeads(linear(x, this.in_proj_weight.value, this.in_proj_bias.value), this.heads);
    const out_SND = attention(q, k, v, { scale: D ** -0.5, bias, mask });
    return this.out_proj.forward(joinHeads(out_SND, B, N));
  }
}

/** Splits joint projections [B, N, 3·C] into queries, keys and values [B·heads, N, D]. */
export function splitHeads(qkv: tf.Tensor, heads: number): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const [B, N, width] = qkv.shape;
  const D = width / 3 / heads;
  const parts = qkv
    .reshape([B, N, 3, heads, D])
    .transpose([2, 0, 3, 1, 4])
    .reshape([3, B * heads, N, D]);
  const part = (i: number) => parts.slice([i, 0, 0, 0], [1, -1, -1, -1]).reshape([B * heads, N, D]);
  return [part(0), part(1), part(2)];
}

/** The inverse for one of them: [B·heads, N, D] to [B, N, heads·D]. */
export function joinHeads(x_SND: tf.Tensor, B: number, N: number): tf.Tensor {
  const [S, , D] = x_SND.shape;
  return x_SND
    .reshape([B, S / B, N, D])
    .transpose([0, 2, 1, 3])
    .reshape([B, N, (S / B) * D]);
}

export class Relu extends Layer {
  override forward(x: tf.Tensor): tf.Tensor {
    return x.relu();
  }
}

export class Gelu extends Layer {
  override forward(x: tf.Tensor): tf.Tensor {
    return gelu(x);
  }
}

/** Layers one after the other, named by their place (torch.nn.Sequential). */
export class Sequential extends Layer {
  constructor(readonly layers: readonly Layer[]) {
    super();
  }

  protected override *children(): Generator<[string, Layer]> {
    for (const [i, layer] of this.layers.entries()) yield [`${i}`, layer];
  }

  override forward(x: tf.Tensor): tf.Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x);
  }
}

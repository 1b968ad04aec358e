/** @file The layers of the network, with their weights. */
import type * as tf from '@tensorflow/tfjs';
import { selfAttention } from './attention.js';
import { gelu, layerNorm, linear, relu } from './functional.js';
import { fanInUniform, ones, xavierUniform, zeros } from './init.js';
import { type Initializer, Module, Parameter } from './module.js';

/** A module with one tensor as input and one as output. */
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

  /** Attention of x [B, N, C], with a bias on the scores and a dropout mask, [B·heads, N, N] each. Returns [B, N, C]. */
  forward(x: tf.Tensor, bias?: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
    const D = this.features / this.heads;
    const qkv = linear(x, this.in_proj_weight.value, this.in_proj_bias.value);
    return this.out_proj.forward(selfAttention(qkv, this.heads, { scale: D ** -0.5, bias, mask }));
  }
}

/** max(x, 0) (torch.nn.ReLU). */
export class Relu extends Layer {
  override forward(x: tf.Tensor): tf.Tensor {
    return relu(x);
  }
}

/** Exact GELU (torch.nn.GELU). */
export class Gelu extends Layer {
  override forward(x: tf.Tensor): tf.Tensor {
    return gelu(x);
  }
}

/** Layers that run one after the other; their index is their name (torch.nn.Sequential). */
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

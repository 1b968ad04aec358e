/**
 * @file The VideoMAE vision transformer: tubelet embedding, position table, pre-norm blocks.
 *
 * Shapes: B clips, T H W of the video, t h w of the token grid, N = t·h·w tokens, C features.
 */
import type { Config } from '../config/index.js';
import { graphBreak } from '../engine/lazy_hints.js';
import { tf } from '../engine/tfjs.js';
import { selfAttention } from '../nn/attention.js';
import { gelu, linear } from '../nn/functional.js';
import { constant, fanInUniform, zeros } from '../nn/init.js';
import { LayerNorm, Linear } from '../nn/layers.js';
import { Module, Parameter } from '../nn/module.js';
import { convPatches } from '../nn/spatial.js';
import { activationCheckpoint, withGraphBreak } from '../nn/tape.js';
import type { Backbone, BackboneKind } from './backbone.js';
import { dropMask, dropped, type MaskSource } from './dropout.js';
import { makePyramid } from './neck.js';
import { resizePositions, sinusoidTable } from './position.js';
import { vitFlops } from './vit_flops.js';

const NORM_EPS = 1e-6;

/** Tubelet embedding: a Conv3d whose kernel equals its stride. */
export class PatchEmbed extends Module {
  readonly proj: { weight: Parameter; bias: Parameter };

  constructor(channels: number, features: number, tubelet: number, patch: number) {
    super();
    const init = fanInUniform(channels * tubelet * patch * patch);
    this.proj = {
      weight: new Parameter([features, channels, tubelet, patch, patch], init),
      bias: new Parameter([features], init),
    };
  }

  protected override *children(): Generator<[string, Parameter]> {
    yield ['proj.weight', this.proj.weight];
    yield ['proj.bias', this.proj.bias];
  }

  /** Embeds a video [B, T, H, W, channels]. Returns [B, t, h, w, C]. */
  forward(video: tf.Tensor): tf.Tensor {
    return convPatches(video, this.proj.weight.value, this.proj.bias.value);
  }
}

export interface BlockOptions {
  dim: number;
  heads: number;
  mlpRatio: number;
  qkvBias: boolean;
  /** Factor on the queries; null for head_dim^-0.5. */
  qkScale: number | null;
  /** Initial layer scale; 0 for none. */
  initValues: number;
  drop: number;
  attnDrop: number;
  dropPath: number;
}

/** Self-attention of the backbone: a joint projection, with separate biases for queries and values and none for keys. */
class Attention extends Module {
  readonly q_bias?: Parameter;
  readonly v_bias?: Parameter;
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly #heads: number;
  readonly #scale: number;

  constructor({ dim, heads, qkvBias, qkScale }: BlockOptions) {
    super();
    this.#heads = heads;
    this.#scale = qkScale ?? (dim / heads) ** -0.5;
    if (qkvBias) {
      this.q_bias = new Parameter([dim], zeros);
      this.v_bias = new Parameter([dim], zeros);
    }
    this.qkv = new Linear(dim, 3 * dim, { bias: false });
    this.proj = new Linear(dim, dim);
  }

  forward(x_BNC: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
    const { q_bias, v_bias } = this;
    const bias = q_bias && v_bias && tf.concat([q_bias.value, tf.zeros([q_bias.size]), v_bias.value]);
    const qkv = linear(x_BNC, this.qkv.weight.value, bias);
    return this.proj.forward(selfAttention(qkv, this.#heads, { scale: this.#scale, mask }));
  }
}

class Mlp extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;

  constructor(dim: number, hidden: number) {
    super();
    this.fc1 = new Linear(dim, hidden);
    this.fc2 = new Linear(hidden, dim);
  }

  forward(x: tf.Tensor): tf.Tensor {
    return this.fc2.forward(gelu(this.fc1.forward(x)));
  }
}

/** Random masks of one block for one forward pass; absent if nothing is dropped there. */
export interface BlockMasks {
  probabilities?: tf.Tensor;
  projection?: tf.Tensor;
  attentionPath?: tf.Tensor;
  mlpOutput?: tf.Tensor;
  mlpPath?: tf.Tensor;
}

/** A pre-norm transformer block with optional layer scale. */
export class Block extends Module {
  readonly gamma_1?: Parameter;
  readonly gamma_2?: Parameter;
  readonly norm1: LayerNorm;
  readonly attn: Attention;
  readonly norm2: LayerNorm;
  readonly mlp: Mlp;

  constructor(readonly options: BlockOptions) {
    super();
    const { dim, mlpRatio, initValues } = options;
    if (initValues > 0) {
      this.gamma_1 = new Parameter([dim], constant(initValues));
      this.gamma_2 = new Parameter([dim], constant(initValues));
    }
    this.norm1 = new LayerNorm(dim, NORM_EPS);
    this.attn = new Attention(options);
    this.norm2 = new LayerNorm(dim, NORM_EPS);
    this.mlp = new Mlp(dim, Math.floor(dim * mlpRatio));
  }

  /** Draws the masks of this block for an input [B, N, C]; none in evaluation mode. */
  drawMasks([B, N, C]: number[], source?: MaskSource): BlockMasks {
    const { heads, drop, attnDrop, dropPath } = this.options;
    const random = this.training ? source : undefined;
    return {
      probabilities: dropMask([B * heads, N, N], attnDrop, random),
      projection: dropMask([B, N, C], drop, random),
      attentionPath: dropMask([B, 1, 1], dropPath, random),
      mlpOutput: dropMask([B, N, C], drop, random),
      mlpPath: dropMask([B, 1, 1], dropPath, random),
    };
  }

  /** Applies the block to x [B, N, C]. Returns [B, N, C]. */
  forward(x_BNC: tf.Tensor, masks: BlockMasks = {}): tf.Tensor {
    return tf.tidy(() => {
      const residual = (x: tf.Tensor, branch: tf.Tensor, gamma?: Parameter, path?: tf.Tensor) =>
        x.add(dropped(gamma ? branch.mul(gamma.value) : branch, path));
      const attended = dropped(
        this.attn.forward(this.norm1.forward(x_BNC), masks.probabilities),
        masks.projection,
      );
      // A backward pass of its own for each half releases the activations of the second before the first needs memory.
      const y_BNC = withGraphBreak(residual(x_BNC, attended, this.gamma_1, masks.attentionPath), {
        before: 'backbone',
        after: 'backbone',
      });
      const mixed = dropped(this.mlp.forward(this.norm2.forward(y_BNC)), masks.mlpOutput);
      return residual(y_BNC, mixed, this.gamma_2, masks.mlpPath);
    });
  }
}

/** The ViT backbone, which turns a video [B, T, H, W, 3] into a map of features [B, t, h, w, C]. */
export class VisionTransformer extends Module implements Backbone {
  readonly channels: readonly number[];
  readonly pos_embed?: Parameter;
  readonly patch_embed: PatchEmbed;
  readonly blocks: Block[];
  readonly norm: LayerNorm;
  readonly #vit: Config['ViT'];
  readonly #timeSteps: number;
  readonly #grid: number;
  /** The fixed position table on the host, made at its first use. */
  #sinusoids: Float32Array | undefined;

  constructor(cfg: Pick<Config, 'ViT' | 'DATA'>) {
    super();
    const vit = cfg.ViT;
    this.channels = [vit.EMBED_DIM];
    this.#vit = vit;
    this.#timeSteps = cfg.DATA.NUM_FRAMES / vit.TUBELET_SIZE;
    this.#grid = Math.floor(vit.PRETRAIN_IMG_SIZE / vit.PATCH_SIZE);
    if (vit.USE_LEARNABLE_POS_EMB) {
      this.pos_embed = new Parameter([1, this.#timeSteps * this.#grid ** 2, vit.EMBED_DIM], zeros);
    }
    this.patch_embed = new PatchEmbed(vit.IN_CHANS, vit.EMBED_DIM, vit.TUBELET_SIZE, vit.PATCH_SIZE);
    this.blocks = Array.from(
      { length: vit.DEPTH },
      (_, i) =>
        new Block({
          dim: vit.EMBED_DIM,
          heads: vit.NUM_HEADS,
          mlpRatio: vit.MLP_RATIO,
          qkvBias: vit.QKV_BIAS,
          qkScale: vit.QK_SCALE,
          initValues: vit.INIT_VALUES,
          drop: vit.DROP_RATE,
          attnDrop: vit.ATTN_DROP_RATE,
          dropPath: vit.DEPTH > 1 ? (vit.DROP_PATH_RATE * i) / (vit.DEPTH - 1) : 0,
        }),
    );
    this.norm = new LayerNorm(vit.EMBED_DIM, NORM_EPS);
  }

  forward(video: tf.Tensor, source?: MaskSource): tf.Tensor[] {
    return tf.tidy(() => {
      graphBreak('backbone');
      const patches = this.patch_embed.forward(video);
      const [B, t, h, w, C] = patches.shape;
      const N = t * h * w;
      const masked = this.training ? dropMask([B, N, C], this.#vit.DROP_RATE, source) : undefined;
      let x_BNC = dropped(patches.reshape([B, N, C]).add(this.#positions(h, w)), masked);
      for (const block of this.blocks)
        x_BNC = this.#run(block, withGraphBreak(x_BNC, { before: 'backbone', after: 'backbone' }), source);
      return [this.norm.forward(x_BNC).reshape([B, t, h, w, C])];
    });
  }

  /** Returns the position table for a token grid, [N, C]. */
  #positions(h: number, w: number): tf.Tensor {
    const rows = this.#timeSteps * this.#grid ** 2;
    const C = this.#vit.EMBED_DIM;
    if (this.pos_embed) return resizePositions(this.pos_embed.value.reshape([rows, C]), this.#grid, h, w);
    this.#sinusoids ??= sinusoidTable(rows, C);
    return resizePositions(tf.tensor2d(this.#sinusoids, [rows, C]), this.#grid, h, w);
  }

  /** Runs a block, with activation checkpointing if it is configured. */
  #run(block: Block, x_BNC: tf.Tensor, source?: MaskSource): tf.Tensor {
    const masks = block.drawMasks(x_BNC.shape, source);
    if (!this.training || !this.#vit.USE_CHECKPOINT) return block.forward(x_BNC, masks);
    const names = (Object.keys(masks) as (keyof BlockMasks)[]).filter((name) => masks[name]);
    return activationCheckpoint(
      (x, constants) => block.forward(x, Object.fromEntries(names.map((name, i) => [name, constants[i]]))),
      x_BNC,
      block.parameters().map((parameter) => parameter.value),
      names.map((name) => masks[name] as tf.Tensor),
    );
  }
}

const FIRST_LAYER_NAMES = new Set(['cls_token', 'mask_token', 'pos_embed']);

/**
 * Returns the layer of a parameter of the backbone among `count` layers: 0 for the embeddings, i + 1 for block i, and the last
 * layer for everything after the blocks. Ignores a leading `backbone.`.
 */
export function getNumLayerForVit(varName: string, count: number): number {
  const name = varName.startsWith('backbone.') ? varName.slice('backbone.'.length) : varName;
  if (FIRST_LAYER_NAMES.has(name) || name.startsWith('patch_embed')) return 0;
  const block = /^blocks\.(\d+)\./.exec(name);
  return block ? Number(block[1]) + 1 : count - 1;
}

/** The backbone's entry in the registry. */
export const vit: BackboneKind = {
  make: (cfg) => new VisionTransformer(cfg),
  makeNeck: ({ channels: [features] }, channels) => makePyramid(features, channels),
  flops: vitFlops,
  layers: { count: ({ ViT }) => ViT.DEPTH + 2, layerOf: getNumLayerForVit },
};

/** @file One stage of the decoder: attention among the queries, sampling, mixing, feed-forward networks and heads. */
import type { Config } from '../config/index.js';
import { tf } from '../engine/tfjs.js';
import { mean } from '../nn/functional.js';
import { constant, uniform, xavierUniform, zeros } from '../nn/init.js';
import { LayerNorm, Linear, MultiheadAttention, Relu, Sequential } from '../nn/layers.js';
import { type Initializer, Module, Parameter } from '../nn/module.js';
import { noGrad } from '../nn/tape.js';
import { decodeBoxes, intersectionOverFirst } from './boxes.js';
import { dropMask, type MaskSource } from './dropout.js';
import { AdaptiveMixing } from './mixing.js';
import { positionEmbedding, type Queries } from './queries.js';
import { type FeatureTable, makeSamplePoints, samplePoints } from './sampling.js';

type Stm = Config['MODEL']['STM'];

/** Keeps log(iof) finite if two boxes do not overlap. */
const IOF_EPS = 1e-7;
/** Probability of an action before training (Lin et al., 2017). */
const ACTION_PRIOR = 0.01;

/** A feed-forward network with a residual connection (mmcv's FFN). */
export class FeedForward extends Module {
  readonly layers: (Sequential | Linear)[];

  constructor(dim: number, hidden: number, numFcs: number) {
    super();
    const widths = [dim, ...Array.from({ length: numFcs - 1 }, () => hidden)];
    const inner = widths
      .slice(1)
      .map(
        (width, i) => new Sequential([new Linear(widths[i], width, { weight: xavierUniform }), new Relu()]),
      );
    this.layers = [...inner, new Linear(widths[numFcs - 1], dim, { weight: xavierUniform })];
  }

  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => x.add(this.layers.reduce((value, layer) => layer.forward(value), x)));
  }
}

/** Self-attention with a residual connection (mmcv's MultiheadAttention). */
export class ResidualAttention extends Module {
  readonly attn: MultiheadAttention;

  constructor(dim: number, heads: number) {
    super();
    this.attn = new MultiheadAttention(dim, heads);
  }

  /** x [B, Q, C]; bias and dropout mask [B·heads, Q, Q]. Returns [B, Q, C]. */
  forward(x: tf.Tensor, bias?: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
    return tf.tidy(() => x.add(this.attn.forward(x, bias, mask)));
  }
}

/** Initial offsets of a group's points, in units of the box: a regular grid, or random if their number is no square. */
function offsetBias(groups: number, points: number): Initializer {
  const side = Math.round(Math.sqrt(points));
  return (data, _shape, rng) => {
    for (let n = 0; n < groups * points; n++) {
      const p = n % points;
      const isGrid = side * side === points;
      data[3 * n] = isGrid ? ((p % side) + 0.5) / side - 0.5 : rng.uniformBetween(-0.5, 0.5);
      data[3 * n + 1] = isGrid ? (Math.floor(p / side) + 0.5) / side - 0.5 : rng.uniformBetween(-0.5, 0.5);
      data[3 * n + 2] = 0;
    }
  };
}

/** Samples the pyramid at points that the spatial queries choose, and mixes the samples into both kinds of queries. */
class SamplingMixing extends Module {
  readonly offset_generator: Sequential;
  readonly norm_s: LayerNorm;
  readonly norm_t: LayerNorm;
  readonly adaptive_mixing_s: AdaptiveMixing;
  readonly adaptive_mixing_t: AdaptiveMixing;

  constructor(stm: Stm) {
    super();
    const { HIDDEN_DIM: C, N_GROUPS: G, SPATIAL_POINTS: P, TEMPORAL_POINTS: T, OUT_MULTIPLIER } = stm;
    const offsets = new Linear(C, G * P * 3, { weight: zeros, bias: offsetBias(G, P) });
    this.offset_generator = new Sequential([offsets]);
    this.norm_s = new LayerNorm(C);
    this.norm_t = new LayerNorm(C);
    this.adaptive_mixing_s = new AdaptiveMixing(C, P, P * OUT_MULTIPLIER, G);
    this.adaptive_mixing_t = new AdaptiveMixing(C, T, T * OUT_MULTIPLIER, G);
  }

  /** Returns the points that the queries sample, [B, Q, G·P, 3] = (x, y, level). */
  points({ xyzr, spatial }: Queries): tf.Tensor {
    return makeSamplePoints(this.offset_generator.forward(spatial), xyzr);
  }

  forward(table: FeatureTable, queries: Queries): { spatial: tf.Tensor; temporal: tf.Tensor } {
    const { spatial, temporal } = queries;
    const samples_RPTD = samplePoints(table, this.points(queries));
    return {
      spatial: this.norm_s.forward(this.adaptive_mixing_s.forward(mean(samples_RPTD, 2), spatial)),
      temporal: this.norm_t.forward(this.adaptive_mixing_t.forward(mean(samples_RPTD, 1), temporal)),
    };
  }
}

/** The layers in front of a head: `count` times a linear layer, normalisation and ReLU. */
function headLayers(dim: number, count: number): Sequential {
  return new Sequential(
    Array.from({ length: count }, () => [
      new Linear(dim, dim, { weight: xavierUniform }),
      new LayerNorm(dim),
      new Relu(),
    ]).flat(),
  );
}

/** The output of one decoder stage; B clips, Q queries. */
export type StageOutput = {
  /** Logits of person and background, [B, Q, OBJECT_CLASSES + 1]. */
  logits: tf.Tensor;
  /** Logits of the actions, [B, Q, ACTION_CLASSES]. */
  actions: tf.Tensor;
  /** Changes of the boxes, [B, Q, 4]. */
  delta: tf.Tensor;
  /** The queries after the stage, each [B, Q, C]. */
  spatial: tf.Tensor;
  temporal: tf.Tensor;
};

/** One stage of the decoder, with parameters named as in the PyTorch original. */
export class DecoderStage extends Module {
  readonly iof_tau: Parameter;
  readonly attention_s: ResidualAttention;
  readonly attention_norm_s: LayerNorm;
  readonly ffn_s: FeedForward;
  readonly ffn_norm_s: LayerNorm;
  readonly attention_t: ResidualAttention;
  readonly attention_norm_t: LayerNorm;
  readonly ffn_t: FeedForward;
  readonly ffn_norm_t: LayerNorm;
  readonly samplingmixing: SamplingMixing;
  readonly human_cls_fcs: Sequential;
  readonly human_fc_cls: Linear;
  readonly reg_fcs: Sequential;
  readonly fc_reg: Linear;
  readonly action_cls_fcs: Sequential;
  readonly fc_action: Linear;
  readonly #stm: Stm;

  constructor(stm: Stm) {
    super();
    const { HIDDEN_DIM: C, NUM_HEADS, DIM_FEEDFORWARD, NUM_FCS } = stm;
    this.#stm = stm;
    this.iof_tau = new Parameter([NUM_HEADS], uniform(0, 4));
    this.attention_s = new ResidualAttention(C, NUM_HEADS);
    this.attention_norm_s = new LayerNorm(C);
    this.ffn_s = new FeedForward(C, DIM_FEEDFORWARD, NUM_FCS);
    this.ffn_norm_s = new LayerNorm(C);
    this.attention_t = new ResidualAttention(C, NUM_HEADS);
    this.attention_norm_t = new LayerNorm(C);
    this.ffn_t = new FeedForward(C, DIM_FEEDFORWARD, NUM_FCS);
    this.ffn_norm_t = new LayerNorm(C);
    this.samplingmixing = new SamplingMixing(stm);
    this.human_cls_fcs = headLayers(C, stm.NUM_CLS);
    this.human_fc_cls = new Linear(C, stm.OBJECT_CLASSES + 1, { weight: xavierUniform });
    this.reg_fcs = headLayers(C, stm.NUM_REG);
    this.fc_reg = new Linear(C, 4, { weight: zeros, bias: zeros });
    this.action_cls_fcs = headLayers(2 * C, stm.NUM_ACT);
    const prior = constant(-Math.log((1 - ACTION_PRIOR) / ACTION_PRIOR));
    this.fc_action = new Linear(2 * C, stm.ACTION_CLASSES, { weight: xavierUniform, bias: prior });
  }

  /** Refines the queries. In training, `masks` draws dropout on the attention weights. */
  forward(table: FeatureTable, queries: Queries, masks?: MaskSource): StageOutput {
    return tf.tidy(() => {
      const mixed = this.samplingmixing.forward(table, this.#attend(queries, masks));
      const spatial = this.ffn_norm_s.forward(this.ffn_s.forward(mixed.spatial));
      const temporal = this.ffn_norm_t.forward(this.ffn_t.forward(mixed.temporal));
      const person = this.human_fc_cls.forward(this.human_cls_fcs.forward(spatial));
      const delta = this.fc_reg.forward(this.reg_fcs.forward(spatial));
      const both = tf.concat([spatial, temporal], -1);
      const actions = this.fc_action.forward(this.action_cls_fcs.forward(both));
      return { logits: person, actions, delta, spatial, temporal };
    });
  }

  /** Computes the points that the stage samples for these queries, [B, Q, G·P, 3] = (x, y, level). */
  points(queries: Queries): tf.Tensor {
    return tf.tidy(() => this.samplingmixing.points(this.#attend(queries)));
  }

  /** Applies attention among the queries, biased towards those whose boxes overlap. */
  #attend({ xyzr, spatial, temporal }: Queries, masks?: MaskSource): Queries {
    const [B, Q] = xyzr.shape;
    const { NUM_HEADS: H, HIDDEN_DIM: C, DROPOUT } = this.#stm;
    const position = noGrad(() => positionEmbedding(xyzr, C / 4));
    const overlap = noGrad(() => {
      const boxes = decodeBoxes(xyzr);
      return intersectionOverFirst(boxes, boxes).add(IOF_EPS).log().reshape([B, 1, Q, Q]);
    });
    const bias = overlap.mul(this.iof_tau.value.reshape([1, H, 1, 1])).reshape([B * H, Q, Q]);
    const mask = () => dropMask([B * H, Q, Q], DROPOUT, this.training ? masks : undefined);
    return {
      xyzr,
      spatial: this.attention_norm_s.forward(this.attention_s.forward(spatial.add(position), bias, mask())),
      temporal: this.attention_norm_t.forward(this.attention_t.forward(temporal.add(position), bias, mask())),
    };
  }
}

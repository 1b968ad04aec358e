/** @file The complete detector: backbone, neck and decoder. */
import type { Config } from '../config/index.js';
import { tf } from '../engine/tfjs.js';
import type { NormScope } from '../nn/batch_norm.js';
import { normal } from '../nn/init.js';
import type { Layer } from '../nn/layers.js';
import { Module, Parameter } from '../nn/module.js';
import { noGrad, withGraphBreak } from '../nn/tape.js';
import type { Backbone, ModelConfig } from './backbone.js';
import { backboneKind } from './backbones.js';
import { decodeBoxes, refineBoxes } from './boxes.js';
import type { MaskSource } from './dropout.js';
import { NECK_LEVELS } from './neck.js';
import { initialQueries, type Queries } from './queries.js';
import { makeFeatureTable } from './sampling.js';
import { DecoderStage, type StageOutput } from './stage.js';

/** The predictions of one decoder stage; B clips, Q queries. */
export type StagePrediction = StageOutput & {
  /** Refined boxes [B, Q, 4] as xyzr. */
  xyzr: tf.Tensor;
  /** Refined boxes [B, Q, 4] as corners in pixels of the clip. */
  boxes: tf.Tensor;
};

/** Initial embeddings of the queries, `init_spatial_queries` or `init_temporal_queries` (torch.nn.Embedding). */
class Embedding extends Module {
  readonly weight: Parameter;

  constructor(count: number, features: number) {
    super();
    this.weight = new Parameter([count, features], normal);
  }
}

/** The decoder: a sequence of stages that refine the boxes and the embeddings of the queries. */
class Decoder extends Module {
  readonly init_spatial_queries: Embedding;
  readonly init_temporal_queries: Embedding;
  readonly decoder_stages: DecoderStage[];
  readonly #groups: number;

  constructor(stm: Config['MODEL']['STM']) {
    super();
    this.#groups = stm.N_GROUPS;
    this.init_spatial_queries = new Embedding(stm.NUM_QUERIES, stm.HIDDEN_DIM);
    this.init_temporal_queries = new Embedding(stm.NUM_QUERIES, stm.HIDDEN_DIM);
    this.decoder_stages = Array.from({ length: stm.NUM_STAGES }, () => new DecoderStage(stm));
  }

  forward(maps: tf.Tensor[], whwh: tf.Tensor, masks?: MaskSource): StagePrediction[] {
    const strides = NECK_LEVELS.map((level) => level.stride);
    const made = makeFeatureTable(maps, strides, this.#groups);
    const table = { ...made, rows: withGraphBreak(made.rows, { before: 'neck', after: 'decoder' }) };
    let queries = this.#initialQueries(whwh);
    return this.decoder_stages.map((stage) => {
      const spatial = withGraphBreak(queries.spatial, { before: 'decoder', after: 'decoder' });
      const output = stage.forward(table, { ...queries, spatial }, masks);
      const xyzr = refineBoxes(queries.xyzr, output.delta);
      queries = { xyzr, spatial: output.spatial, temporal: output.temporal };
      const logits = withGraphBreak(output.logits, { before: 'decoder', after: 'loss' });
      return { ...output, logits, xyzr, boxes: decodeBoxes(xyzr) };
    });
  }

  /** The points that each stage samples, each [B, Q, G·P, 3]. */
  points(predictions: readonly StagePrediction[], whwh: tf.Tensor): tf.Tensor[] {
    const queries = [this.#initialQueries(whwh), ...predictions];
    return this.decoder_stages.map((stage, i) => stage.points(queries[i]));
  }

  #initialQueries(whwh: tf.Tensor): Queries {
    return initialQueries(
      whwh,
      this.init_spatial_queries.weight.value,
      this.init_temporal_queries.weight.value,
    );
  }
}

/** STMixer. Parameters are named and ordered as in the PyTorch original. */
export class Detector extends Module {
  readonly backbone: Backbone;
  readonly lateral_convs: Layer[];
  readonly stm_head: Decoder;
  readonly #config: ModelConfig;

  constructor(cfg: ModelConfig) {
    super();
    this.#config = cfg;
    const { STM } = cfg.MODEL;
    const kind = backboneKind(cfg);
    this.backbone = kind.make(cfg);
    this.lateral_convs = kind.makeNeck(this.backbone, STM.HIDDEN_DIM);
    this.stm_head = new Decoder(STM);
  }

  /** The configuration that the model was built from. */
  get config(): ModelConfig {
    return this.#config;
  }

  /** Computes the backbone's maps [B, t, h, w, C] of a video [B, T, H, W, 3], and the feature pyramid made from them. */
  features(
    video: tf.Tensor,
    masks?: MaskSource,
    scope?: NormScope,
  ): { backbone: tf.Tensor[]; maps: tf.Tensor[] } {
    const backbone = this.backbone
      .forward(video, masks, scope)
      .map((map) => withGraphBreak(map, { before: 'backbone', after: 'neck' }));
    const maps = this.lateral_convs.map((level, i) => {
      const map = backbone.length === 1 ? backbone[0] : backbone[i];
      return tf.tidy(() => level.forward(withGraphBreak(map, { before: 'neck', after: 'neck' })));
    });
    return { backbone, maps };
  }

  /**
   * Returns the predictions of all decoder stages, in order. video [B, T, H, W, 3] is normalised and padded to multiples of
   * 32; whwh [B, 4] is the size of each clip before padding. In training `masks` draws drop path and dropout; without it,
   * nothing is dropped. `scope` takes the statistics of batch norms in training mode.
   */
  forward(video: tf.Tensor, whwh: tf.Tensor, masks?: MaskSource, scope?: NormScope): StagePrediction[] {
    return tf.tidy(() => this.stm_head.forward(this.features(video, masks, scope).maps, whwh, masks));
  }

  /**
   * Returns the points that each decoder stage sampled for `predictions` of `forward`, [B, Q, groups · points, 3] = (x, y in
   * pixels, level). They are computed again from the queries, so that training need not store them.
   */
  samplePoints(predictions: readonly StagePrediction[], whwh: tf.Tensor): tf.Tensor[] {
    return tf.tidy(() => noGrad(() => this.stm_head.points(predictions, whwh)));
  }
}

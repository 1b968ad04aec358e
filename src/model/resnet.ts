/** @file The ResNet backbones of PySlowFast: SlowOnly with one pathway, SlowFast with two. */
import type { Config } from '../config/index.js';
import { RESNET_BLOCKS } from '../config/schema/choices.js';
import { slowFrames } from '../data/clip/pathways.js';
import type { Size3 } from '../engine/kernel_contract.js';
import { graphBreak } from '../engine/lazy_hints.js';
import { tf } from '../engine/tfjs.js';
import type { NormScope } from '../nn/batch_norm.js';
import { uniform, zeros } from '../nn/init.js';
import { Layer } from '../nn/layers.js';
import { Module, Parameter } from '../nn/module.js';
import { conv1x1x1 } from '../nn/spatial.js';
import { withGraphBreak } from '../nn/tape.js';
import type { Backbone, BackboneKind, ModelConfig } from './backbone.js';
import type { MaskSource } from './dropout.js';
import type { NormContext, TransformName } from './resnet/block.js';
import { resnetFlops } from './resnet/flops.js';
import type { Instantiation } from './resnet/nonlocal.js';
import { type PathwayShape, Stage } from './resnet/stage.js';
import { FuseFastToSlow, joinPathways, VideoStem } from './resnet/stem.js';

/** A pathway of a backbone. */
interface Pathway {
  /** Frames of the stem's kernel. */
  readonly stemKernel: number;
  /** Frames of the temporal kernels in s2 to s5. */
  readonly temporalKernels: readonly number[];
  /** Divisor of all widths. */
  readonly beta: number;
}

const SLOW: Pathway = { stemKernel: 1, temporalKernels: [1, 1, 3, 3], beta: 1 };
const fastPathway = (beta: number): Pathway => ({ stemKernel: 5, temporalKernels: [3, 3, 3, 3], beta });

type ResNetConfig = Pick<Config, 'DATA' | 'MODEL' | 'RESNET' | 'NONLOCAL' | 'SLOWFAST'>;

const STAGES = [0, 1, 2, 3] as const;

/** Output channels of stage i of a pathway. */
function widthOf({ RESNET }: ResNetConfig, i: number, { beta }: Pathway): number {
  return Math.floor((RESNET.WIDTH_PER_GROUP * 4 * 2 ** i) / beta);
}

/** Output channels of a pathway's stem. */
function stemWidth({ RESNET }: ResNetConfig, { beta }: Pathway): number {
  return Math.floor(RESNET.WIDTH_PER_GROUP / beta);
}

const normContext = ({ MODEL }: ResNetConfig): NormContext => ({ frozen: MODEL.BACKBONE.FROZEN_BN });

function makeStem(cfg: ResNetConfig, pathways: readonly Pathway[]): VideoStem {
  const shapes = pathways.map((pathway, p) => ({
    inChannels: cfg.DATA.INPUT_CHANNEL_NUM[p],
    outChannels: stemWidth(cfg, pathway),
    temporalKernel: pathway.stemKernel,
  }));
  return new VideoStem(shapes, normContext(cfg));
}

/** Makes stage i. `added` is the number of channels that the slow pathway has from the fast one. */
function makeStage(cfg: ResNetConfig, i: number, pathways: readonly Pathway[], added = 0): Stage {
  const { RESNET, NONLOCAL } = cfg;
  const shapes = pathways.map((pathway, p): PathwayShape => {
    const before = i === 0 ? stemWidth(cfg, pathway) : widthOf(cfg, i - 1, pathway);
    return {
      inChannels: before + (p === 0 ? added : 0),
      outChannels: widthOf(cfg, i, pathway),
      innerChannels: Math.floor((RESNET.NUM_GROUPS * RESNET.WIDTH_PER_GROUP * 2 ** i) / pathway.beta),
      temporalKernel: pathway.temporalKernels[i],
      stride: RESNET.SPATIAL_STRIDES[i][p],
      dilation: RESNET.SPATIAL_DILATIONS[i][p],
      groups: RESNET.NUM_GROUPS,
      numBlocks: RESNET_BLOCKS[RESNET.DEPTH][i],
      numTemporalBlocks: RESNET.NUM_BLOCK_TEMP_KERNEL[i][p],
      nonlocal: {
        after: NONLOCAL.LOCATION[i][p],
        groups: NONLOCAL.GROUP[i][p],
        pool: NONLOCAL.POOL[i][p] as unknown as Size3,
      },
    };
  });
  return new Stage(
    {
      pathways: shapes,
      transform: RESNET.TRANS_FUNC as TransformName,
      // The official SlowFast does not read RESNET.STRIDE_1X1.
      strideIn1x1: pathways.length === 1 && RESNET.STRIDE_1X1,
      instantiation: NONLOCAL.INSTANTIATION as Instantiation,
    },
    normContext(cfg),
  );
}

const withBreak = (x: tf.Tensor) => withGraphBreak(x, { before: 'backbone', after: 'backbone' });

/** One pathway, whose frames are all kept. */
export class SlowOnly extends Module implements Backbone {
  readonly channels: readonly number[];
  readonly s1: VideoStem;
  readonly s2: Stage;
  readonly s3: Stage;
  readonly s4: Stage;
  readonly s5: Stage;

  constructor(cfg: ResNetConfig) {
    super();
    this.channels = STAGES.map((i) => widthOf(cfg, i, SLOW));
    this.s1 = makeStem(cfg, [SLOW]);
    const [s2, s3, s4, s5] = STAGES.map((i) => makeStage(cfg, i, [SLOW]));
    this.s2 = s2;
    this.s3 = s3;
    this.s4 = s4;
    this.s5 = s5;
  }

  forward(video: tf.Tensor, _masks?: MaskSource, scope?: NormScope): tf.Tensor[] {
    graphBreak('backbone');
    let maps = this.s1.forward([video], scope);
    return [this.s2, this.s3, this.s4, this.s5].map((stage) => {
      maps = stage.forward(maps, scope);
      return maps[0];
    });
  }
}

/** A slow pathway on few frames, and a fast one on all frames with fewer channels, which adds channels to the slow one. */
export class SlowFast extends Module implements Backbone {
  readonly channels: readonly number[];
  readonly s1: VideoStem;
  readonly s1_fuse: FuseFastToSlow;
  readonly s2: Stage;
  readonly s2_fuse: FuseFastToSlow;
  readonly s3: Stage;
  readonly s3_fuse: FuseFastToSlow;
  readonly s4: Stage;
  readonly s4_fuse: FuseFastToSlow;
  readonly s5: Stage;
  readonly #alpha: number;

  constructor(cfg: ResNetConfig) {
    super();
    const { ALPHA, BETA_INV, FUSION_CONV_CHANNEL_RATIO: ratio, FUSION_KERNEL_SZ: kernel } = cfg.SLOWFAST;
    this.#alpha = ALPHA;
    const fast = fastPathway(BETA_INV);
    const pathways = [SLOW, fast];
    this.channels = STAGES.map((i) => widthOf(cfg, i, SLOW) + widthOf(cfg, i, fast));
    const fuse = (fastChannels: number) =>
      new FuseFastToSlow({ fastChannels, ratio, kernel, alpha: ALPHA }, normContext(cfg));
    this.s1 = makeStem(cfg, pathways);
    this.s1_fuse = fuse(stemWidth(cfg, fast));
    this.s2 = makeStage(cfg, 0, pathways, stemWidth(cfg, fast) * ratio);
    this.s2_fuse = fuse(widthOf(cfg, 0, fast));
    this.s3 = makeStage(cfg, 1, pathways, widthOf(cfg, 0, fast) * ratio);
    this.s3_fuse = fuse(widthOf(cfg, 1, fast));
    this.s4 = makeStage(cfg, 2, pathways, widthOf(cfg, 1, fast) * ratio);
    this.s4_fuse = fuse(widthOf(cfg, 2, fast));
    this.s5 = makeStage(cfg, 3, pathways, widthOf(cfg, 2, fast) * ratio);
  }

  forward(video: tf.Tensor, _masks?: MaskSource, scope?: NormScope): tf.Tensor[] {
    graphBreak('backbone');
    const stages: [Stage, FuseFastToSlow | null][] = [
      [this.s2, this.s2_fuse],
      [this.s3, this.s3_fuse],
      [this.s4, this.s4_fuse],
      [this.s5, null],
    ];
    let maps = this.s1_fuse.forward(this.s1.forward([this.#slowClip(video), video], scope), scope);
    return stages.map(([stage, fuse]) => {
      const [slow, fast] = stage.forward(maps, scope).map(withBreak);
      if (fuse) maps = fuse.forward([slow, fast], scope);
      return joinPathways(slow, fast, this.#alpha);
    });
  }

  #slowClip(video: tf.Tensor): tf.Tensor {
    const [B, T, H, W, C] = video.shape;
    const frames = slowFrames(T, this.#alpha).map((t) => video.slice([0, t, 0, 0, 0], [B, 1, H, W, C]));
    return tf.concat(frames, 1);
  }
}

/** A level of the neck: a 1×1×1 convolution with bias. */
class Lateral extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(inChannels: number, outChannels: number) {
    super();
    const bound = Math.sqrt(3 / inChannels);
    this.weight = new Parameter([outChannels, inChannels, 1, 1, 1], uniform(-bound, bound));
    this.bias = new Parameter([outChannels], zeros);
  }

  override forward(x: tf.Tensor): tf.Tensor {
    return conv1x1x1(x, this.weight.value, this.bias.value);
  }
}

/** Makes the neck for maps with these channels. */
export function makeLaterals(channels: readonly number[], outChannels: number): Layer[] {
  return channels.map((inChannels) => new Lateral(inChannels, outChannels));
}

const makeNeck: BackboneKind['makeNeck'] = ({ channels }, outChannels) => makeLaterals(channels, outChannels);

/** The entry in the registry. */
function kindOf(make: (cfg: ModelConfig) => Backbone): BackboneKind {
  return { make, makeNeck, flops: (cfg, clip) => resnetFlops(make(cfg), cfg, clip) };
}

export const slowOnly = kindOf((cfg) => new SlowOnly(cfg));
export const slowFast = kindOf((cfg) => new SlowFast(cfg));

/** @file The first layers of a convolutional backbone, s1, and the connections from its fast to its slow pathway. */
import { tf } from '../../engine/tfjs.js';
import { BatchNorm, type NormScope } from '../../nn/batch_norm.js';
import { maxPool3d } from '../../nn/max_pool3d.js';
import { Module } from '../../nn/module.js';
import { Conv, convNorm, type NormContext } from './block.js';

export interface StemShape {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Frames of the kernel. */
  readonly temporalKernel: number;
}

/** Convolution T×7×7 and max pooling 1×3×3, both with stride 2 along height and width. */
export class PathwayStem extends Module {
  readonly conv: Conv;
  readonly bn: BatchNorm;

  constructor({ inChannels, outChannels, temporalKernel: T }: StemShape, norms: NormContext) {
    super();
    this.conv = new Conv(inChannels, outChannels, {
      kernel: [T, 7, 7],
      stride: [1, 2, 2],
      padding: [Math.floor(T / 2), 3, 3],
    });
    this.bn = new BatchNorm(outChannels, norms);
  }

  forward(video: tf.Tensor, scope?: NormScope): tf.Tensor {
    const x = convNorm(video, [this.conv, this.bn], { relu: true, scope });
    return maxPool3d(x, { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] });
  }
}

/** The stems of all pathways. */
export class VideoStem extends Module {
  readonly #stems: readonly PathwayStem[];

  constructor(shapes: readonly StemShape[], norms: NormContext) {
    super();
    this.#stems = shapes.map((shape) => new PathwayStem(shape, norms));
  }

  protected override *children(): Generator<[string, Module]> {
    for (const [p, stem] of this.#stems.entries()) yield [`pathway${p}_stem`, stem];
  }

  /** Maps the frames [B, T, H, W, 3] of each pathway to [B, T, H/4, W/4, C], rounded up. */
  forward(clips: readonly tf.Tensor[], scope?: NormScope): tf.Tensor[] {
    return this.#stems.map((stem, p) => stem.forward(clips[p], scope));
  }
}

export interface FuseShape {
  /** Channels of the fast pathway. */
  readonly fastChannels: number;
  /** Channels that the slow pathway gets, as a multiple of those of the fast one. */
  readonly ratio: number;
  /** Frames of the kernel. */
  readonly kernel: number;
  /** Frames of the fast pathway for each frame of the slow one. */
  readonly alpha: number;
}

/** Adds channels to the slow pathway that a convolution along time makes of the fast one. */
export class FuseFastToSlow extends Module {
  readonly conv_f2s: Conv;
  readonly bn: BatchNorm;

  constructor({ fastChannels, ratio, kernel, alpha }: FuseShape, norms: NormContext) {
    super();
    this.conv_f2s = new Conv(fastChannels, fastChannels * ratio, {
      kernel: [kernel, 1, 1],
      stride: [alpha, 1, 1],
      padding: [Math.floor(kernel / 2), 0, 0],
    });
    this.bn = new BatchNorm(fastChannels * ratio, norms);
  }

  /** Maps slow [B, T / alpha, H, W, C] and fast [B, T, H, W, fastChannels]; the fast one stays as it is. */
  forward([slow, fast]: readonly tf.Tensor[], scope?: NormScope): tf.Tensor[] {
    const fused = convNorm(fast, [this.conv_f2s, this.bn], { relu: true, scope });
    return [tf.concat([slow, fused], 4), fast];
  }
}

/** Joins the channels of both pathways; a frame gets the maximum of its `alpha` frames of the fast pathway. */
export function joinPathways(slow: tf.Tensor, fast: tf.Tensor, alpha: number): tf.Tensor {
  return tf.concat([slow, maxPool3d(fast, { kernel: [alpha, 1, 1] })], 4);
}

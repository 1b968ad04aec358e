/** @file The simple feature pyramid between backbone and decoder: maps at strides 4, 8, 16 and 32. */
import type * as tf from '@tensorflow/tfjs';
import { conv3d } from '../nn/conv3d.js';
import { fanInUniform } from '../nn/init.js';
import { Gelu, Layer, LayerNorm, Sequential } from '../nn/layers.js';
import { maxPool3d } from '../nn/max_pool3d.js';
import { Parameter } from '../nn/module.js';
import { conv1x1x1, convTranspose1x2x2 } from '../nn/spatial.js';

const NORM_EPS = 1e-6;

/** Scale of each level relative to a ViT's map, and its stride in pixels. */
export const NECK_LEVELS = [
  { scale: 4, stride: 4 },
  { scale: 2, stride: 8 },
  { scale: 1, stride: 16 },
  { scale: 0.5, stride: 32 },
] as const;

/** Doubles height and width. */
class Upsample extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(inChannels: number, outChannels: number) {
    super();
    // PyTorch takes the fan-in of a transposed convolution from its second axis.
    const init = fanInUniform(outChannels * 4);
    this.weight = new Parameter([inChannels, outChannels, 1, 2, 2], init);
    this.bias = new Parameter([outChannels], init);
  }

  override forward(x: tf.Tensor): tf.Tensor {
    return convTranspose1x2x2(x, this.weight.value, this.bias.value);
  }
}

/** Halves height and width. */
class Downsample extends Layer {
  override forward(x: tf.Tensor): tf.Tensor {
    return maxPool3d(x, { kernel: [1, 2, 2] });
  }
}

/** Convolution without bias, with kernel 1×1×1 or 3×3×3. */
class Conv extends Layer {
  readonly weight: Parameter;

  constructor(
    inChannels: number,
    outChannels: number,
    readonly kernel: 1 | 3,
  ) {
    super();
    const shape = [outChannels, inChannels, kernel, kernel, kernel];
    this.weight = new Parameter(shape, fanInUniform(inChannels * kernel ** 3));
  }

  override forward(x: tf.Tensor): tf.Tensor {
    const weight = this.weight.value;
    return this.kernel === 1 ? conv1x1x1(x, weight) : conv3d(x, weight, { padding: [1, 1, 1] });
  }
}

/** Makes the levels for a map with `inChannels` channels. */
export function makePyramid(inChannels: number, outChannels: number): Sequential[] {
  return NECK_LEVELS.map(({ scale }) => makeNeckLevel(scale, inChannels, outChannels));
}

/** Makes one level, which turns a map [B, t, h, w, inChannels] into [B, t, scale·h, scale·w, outChannels]. */
export function makeNeckLevel(scale: number, inChannels: number, outChannels: number): Sequential {
  const [half, quarter] = [inChannels / 2, inChannels / 4];
  let rescale: Layer[] = [];
  let channels = inChannels;
  if (scale === 4) {
    rescale = [
      new Upsample(inChannels, half),
      new LayerNorm(half, NORM_EPS),
      new Gelu(),
      new Upsample(half, quarter),
    ];
    channels = quarter;
  } else if (scale === 2) {
    rescale = [new Upsample(inChannels, half)];
    channels = half;
  } else if (scale === 0.5) {
    rescale = [new Downsample()];
  }
  return new Sequential([
    ...rescale,
    new Conv(channels, outChannels, 1),
    new LayerNorm(outChannels, NORM_EPS),
    new Conv(outChannels, outChannels, 3),
  ]);
}

/** @file Transforms of a clip between decoding and the model: size, flip, colours, normalisation, and its boxes. */
import type { Size } from '../../media/image_header.js';
import type { Rng } from '../../util/random.js';
import type { DataConfig, Split } from '../data_config.js';

// Strengths of the official augmentation.
const JITTER = 0.4;
const LIGHTING = 0.1;
/** Rec. 601 luma of R, G, B. */
const LUMA = [0.299, 0.587, 0.114];

export interface TransformSettings {
  readonly minScales: readonly number[];
  readonly flipProbability: number;
  readonly colourJitter: boolean;
  /** Eigenvalues and eigenvectors (rows R, G, B) of the PCA lighting, or null for none. */
  readonly lighting: {
    readonly eigenvalues: readonly number[];
    readonly eigenvectors: readonly (readonly number[])[];
  } | null;
  /** Mean and standard deviation in BGR order, whatever the order of the result. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Whether the channels of the result are B, G, R. */
  readonly bgr: boolean;
}

export function transformSettings(cfg: DataConfig, split: Split): TransformSettings {
  const train = split === 'train';
  const colour = train && cfg.AVA.TRAIN_USE_COLOR_AUGMENTATION;
  return {
    minScales: train ? cfg.DATA.TRAIN_MIN_SCALES : cfg.DATA.TEST_MIN_SCALES,
    flipProbability: train ? (cfg.DATA.RANDOM_FLIP ? 0.5 : 0) : cfg.AVA.TEST_FORCE_FLIP ? 1 : 0,
    colourJitter: colour && !cfg.AVA.TRAIN_PCA_JITTER_ONLY,
    lighting: colour
      ? { eigenvalues: cfg.AVA.TRAIN_PCA_EIGVAL, eigenvectors: cfg.AVA.TRAIN_PCA_EIGVEC }
      : null,
    mean: cfg.DATA.MEAN,
    std: cfg.DATA.STD,
    bgr: cfg.AVA.BGR !== cfg.DATA.REVERSE_INPUT_CHANNEL,
  };
}

type JitterStep = { readonly kind: 'brightness' | 'contrast' | 'saturation'; readonly alpha: number };

/** Every random choice of one clip. */
export interface Augmentation {
  readonly minScale: number;
  readonly flip: boolean;
  /** Steps in the order of application. */
  readonly jitter: readonly JitterStep[];
  /** Values that PCA lighting adds to R, G, B in 0…1. */
  readonly lighting: readonly number[] | null;
}

export function drawAugmentation(settings: TransformSettings, rng: Rng): Augmentation {
  const minScale = settings.minScales[rng.int(settings.minScales.length)];
  const flip = rng.uniform() < settings.flipProbability;
  const jitter: JitterStep[] = [];
  if (settings.colourJitter) {
    const kinds = ['brightness', 'contrast', 'saturation'] as const;
    for (const index of rng.permutation(kinds.length)) {
      jitter.push({ kind: kinds[index], alpha: 1 + rng.uniformBetween(-JITTER, JITTER) });
    }
  }
  let lighting: number[] | null = null;
  if (settings.lighting) {
    const { eigenvalues, eigenvectors } = settings.lighting;
    const weights = eigenvalues.map((value) => value * LIGHTING * rng.normal());
    lighting = eigenvectors.map((row) => row.reduce((sum, entry, i) => sum + entry * weights[i], 0));
  }
  return { minScale, flip, jitter, lighting };
}

/** The size whose short side is `minScale`; the long side is rounded. */
export function scaledSize({ height, width }: Size, minScale: number): Size {
  return width < height
    ? { height: Math.floor((height / width) * minScale + 0.5), width: minScale }
    : { height: minScale, width: Math.floor((width / height) * minScale + 0.5) };
}

/** Boxes in fractions of the image → pixels x1, y1, x2, y2 of the resized and perhaps flipped image, [n, 4]. */
export function transformBoxes(
  boxes: readonly (readonly number[])[],
  { from, to, flip }: { readonly from: Size; readonly to: Size; readonly flip: boolean },
): Float32Array {
  // Like the official code, use the ratio of the short side for both axes, although the long side was rounded.
  const [numerator, denominator] =
    from.width < from.height ? [to.width, from.width] : [to.height, from.height];
  const clip = (value: number, size: number) => Math.min(size - 1, Math.max(0, value));
  const result = new Float32Array(boxes.length * 4);
  boxes.forEach((box, i) => {
    const [x1, y1, x2, y2] = box.map((value, side) => {
      const size = side % 2 === 0 ? from.width : from.height;
      const pixels = clip(value * size, size);
      return denominator === numerator ? pixels : (pixels * numerator) / denominator;
    });
    const left = flip ? to.width - x2 - 1 : x1;
    const right = flip ? to.width - x1 - 1 : x2;
    result[i * 4] = clip(left, to.width);
    result[i * 4 + 1] = clip(y1, to.height);
    result[i * 4 + 2] = clip(right, to.width);
    result[i * 4 + 3] = clip(y2, to.height);
  });
  return result;
}

/**
 * Map from an 8-bit RGB pixel to the model's input: a table of 256 values per channel of the result or, if jitter mixes the
 * channels, a matrix for all frames and an offset per frame.
 */
export type ColourMap =
  | { readonly kind: 'table'; readonly order: readonly number[]; readonly table: Float32Array }
  | { readonly kind: 'affine'; readonly matrix: Float64Array; readonly offsets: Float64Array };

/**
 * Combines colour jitter, PCA lighting and normalisation of a clip.
 * @param frames RGB, [numFrames, height, width, 3]; read only if the jitter needs the mean of each frame.
 */
export function makeColourMap(
  settings: TransformSettings,
  augmentation: Augmentation,
  frames: Uint8Array,
  numFrames: number,
): ColourMap {
  // MEAN and STD are given for B, G, R.
  const mean = [2, 1, 0].map((i) => settings.mean[i]);
  const std = [2, 1, 0].map((i) => settings.std[i]);
  const order = settings.bgr ? [2, 1, 0] : [0, 1, 2];
  if (augmentation.jitter.length === 0) {
    return { kind: 'table', order, table: makeTable(order, mean, std, augmentation.lighting) };
  }
  const matrix = new Float64Array(9);
  const offsets = new Float64Array(numFrames * 3);
  const frameBytes = frames.length / numFrames;
  for (let t = 0; t < numFrames; t++) {
    const frame = frames.subarray(t * frameBytes, (t + 1) * frameBytes);
    const { linear, offset } = composeJitter(augmentation.jitter, channelMeans(frame));
    order.forEach((channel, out) => {
      const added = offset[channel] + (augmentation.lighting?.[channel] ?? 0);
      offsets[t * 3 + out] = (added - mean[channel]) / std[channel];
      for (let k = 0; k < 3; k++) matrix[out * 3 + k] = linear[channel][k] / 255 / std[channel];
    });
  }
  return { kind: 'affine', matrix, offsets };
}

/** The table of a map without jitter, rounded to float32 after each operation like numpy. */
function makeTable(
  order: readonly number[],
  mean: readonly number[],
  std: readonly number[],
  lighting: readonly number[] | null,
): Float32Array {
  const { fround } = Math;
  const table = new Float32Array(3 * 256);
  order.forEach((channel, out) => {
    for (let value = 0; value < 256; value++) {
      const lit = fround(fround(value / 255) + fround(lighting?.[channel] ?? 0));
      table[out * 256 + value] = fround(fround(lit - fround(mean[channel])) / fround(std[channel]));
    }
  });
  return table;
}

/** Means of R, G, B in 0…1. */
function channelMeans(frame: Uint8Array): number[] {
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let i = 0; i < frame.length; i += 3) {
    red += frame[i];
    green += frame[i + 1];
    blue += frame[i + 2];
  }
  const scale = 3 / frame.length / 255;
  return [red * scale, green * scale, blue * scale];
}

const luma = (rgb: readonly number[]) => LUMA[0] * rgb[0] + LUMA[1] * rgb[1] + LUMA[2] * rgb[2];

/** The jitter steps as one affine map of a frame's colours: rgb → linear · rgb + offset. No step clamps. */
function composeJitter(steps: readonly JitterStep[], means: readonly number[]) {
  let linear = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  let offset = [0, 0, 0];
  for (const { kind, alpha } of steps) {
    // Each step blends the image with black, with its mean grey, or with its grey version.
    const rest = 1 - alpha;
    const greyRow = [0, 1, 2].map((k) => luma(linear.map((row) => row[k])));
    const greyOffset = luma(offset);
    const meanGrey = greyRow.reduce((sum, weight, k) => sum + weight * means[k], greyOffset);
    linear = linear.map((row) =>
      row.map((entry, k) => alpha * entry + (kind === 'saturation' ? rest * greyRow[k] : 0)),
    );
    const added = kind === 'saturation' ? rest * greyOffset : kind === 'contrast' ? rest * meanGrey : 0;
    offset = offset.map((entry) => alpha * entry + added);
  }
  return { linear, offset };
}

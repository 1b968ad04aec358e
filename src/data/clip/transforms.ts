/** @file What happens to a clip between decoding and the model: size, flip, colours, normalisation, and its boxes. */
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
  /** In BGR order, whatever the order of the result. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The result's channels are B, G, R. */
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
  /** In the order of application. */
  readonly jitter: readonly JitterStep[];
  /** What PCA lighting adds to R, G, B in 0…1. */
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

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** The size whose short side is `minScale`; the long side is rounded to the nearest. */
export function scaledSize({ height, width }: Size, minScale: number): Size {
  return width < height
    ? { height: Math.floor((height / width) * minScale + 0.5), width: minScale }
    : { height: minScale, width: Math.floor((width / height) * minScale + 0.5) };
}

/** Boxes in fractions of the picture → pixels x1, y1, x2, y2 of the resized, perhaps mirrored picture, [n, 4]. */
export function transformBoxes(
  boxes: readonly (readonly number[])[],
  from: Size,
  to: Size,
  flip: boolean,
): Float32Array {
  // One ratio for both axes, that of the short side, though the long side was rounded: so the official code.
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
 * From an 8-bit RGB pixel to the model's input. Either a table of 256 values per channel of the result, or, where
 * contrast or saturation mix the channels, a matrix for all frames and an offset per frame.
 */
export type ColourMap =
  | { readonly kind: 'table'; readonly order: readonly number[]; readonly table: Float32Array }
  | { readonly kind: 'affine'; readonly matrix: Float64Array; readonly offsets: Float64Array };

/**
 * Colour jitter, PCA lighting and normalisation of a clip in one map.
 * @param frames RGB, [numFrames, height, width, 3]; read only where the jitter needs each frame's mean.
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

/** float32 rounding after each operation, as numpy does it. */
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

/** Mean of R, G, B in 0…1. */
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
    // Each blends the picture with another: black, its mean grey, or its grey version.
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

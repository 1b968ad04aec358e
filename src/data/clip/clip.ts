/** @file One clip: its decoded and resized frames, its boxes and labels, and its part of the model's input. */
import { DataError } from '../../errors.js';
import type { Size } from '../../media/image_header.js';
import { readableTime } from '../time.js';
import { decodeImage, type RgbImage } from './frames.js';
import { Resizer } from './resize.js';
import {
  type Augmentation,
  type ColourMap,
  makeColourMap,
  scaledSize,
  type TransformSettings,
  transformBoxes,
} from './transforms.js';

/** Identity of a clip, which travels unchanged from the data set to the evaluation. */
export interface ClipInfo {
  /** Index in the data set. */
  readonly clipId: number;
  readonly videoIndex: number;
  readonly videoName: string;
  /** The time of the key frame in the data set's time base; may have a fraction. */
  readonly second: number;
}

/** Everything needed to load a clip, as plain data that can be sent to another thread. */
export interface ClipSource {
  readonly info: ClipInfo;
  /** Paths of the T frames; a path may occur several times. */
  readonly paths: readonly string[];
  /** x1, y1, x2, y2 as fractions of the image. */
  readonly boxes: readonly (readonly number[])[];
  /** 1-based action ids of each box. */
  readonly labels: readonly (readonly number[])[];
  readonly numClasses: number;
}

/** A loaded clip without its pixels: the part that a worker sends to the main thread. */
export interface ClipMetadata {
  readonly info: ClipInfo;
  readonly numFrames: number;
  readonly height: number;
  readonly width: number;
  /** Size of the frames as decoded. */
  readonly originalHeight: number;
  readonly originalWidth: number;
  /** w, h, w, h. */
  readonly whwh: Float32Array;
  /** x1, y1, x2, y2 in pixels of `frames`, clipped to (w − 1, h − 1): [n, 4]. */
  readonly boxes: Float32Array;
  /** Multi-hot, class = action id − 1: [n, numClasses]. */
  readonly labels: Float32Array;
}

/** A loaded clip. Its pixels stay 8-bit until `writeVideo`, so a prefetched clip takes a quarter of the memory. */
export interface Clip extends ClipMetadata {
  /** Resized, flipped, RGB: [numFrames, height, width, 3]. */
  readonly frames: Uint8Array;
  readonly colours: ColourMap;
}

/**
 * Decodes, resizes and flips the frames of a clip. Throws DataError that names the file, the video and the second if a frame
 * is missing, broken or differs in size from the first one.
 */
export async function loadClip(
  source: ClipSource,
  settings: TransformSettings,
  augmentation: Augmentation,
): Promise<Clip> {
  const { info, paths } = source;
  const { frames, from, to } = await loadFrames(source, augmentation);
  return {
    info,
    numFrames: paths.length,
    ...to,
    originalHeight: from.height,
    originalWidth: from.width,
    whwh: Float32Array.of(to.width, to.height, to.width, to.height),
    frames,
    colours: makeColourMap(settings, augmentation, frames, paths.length),
    boxes: transformBoxes(source.boxes, { from, to, flip: augmentation.flip }),
    labels: multiHot(source),
  };
}

function multiHot({ labels, numClasses }: ClipSource): Float32Array {
  const result = new Float32Array(labels.length * numClasses);
  labels.forEach((ids, box) => {
    for (const id of ids) result[box * numClasses + id - 1] = 1;
  });
  return result;
}

/** Loads the frames [numFrames, height, width, 3]; each file is decoded once. */
async function loadFrames({ info, paths }: ClipSource, { minScale, flip }: Augmentation) {
  const what = `video ${info.videoName}, second ${readableTime(info.second)}`;
  const [[firstPath, firstIndices], ...others] = indicesByPath(paths);
  const firstImage = await decodeImage(firstPath, what);
  const { height, width } = firstImage;
  const from = { height, width };
  const to = scaledSize(from, minScale);
  const resizer = new Resizer(from, to, { mirror: flip });
  const frameBytes = to.height * to.width * 3;
  const frames = new Uint8Array(paths.length * frameBytes);
  const add = (image: RgbImage, [first, ...copies]: readonly number[]) => {
    resizer.resize(image.data, frames, first * frameBytes);
    for (const t of copies) frames.copyWithin(t * frameBytes, first * frameBytes, (first + 1) * frameBytes);
  };
  add(firstImage, firstIndices);
  const loadFrame = async ([path, indices]: readonly [string, number[]]) => {
    const image = await decodeImage(path, what);
    requireSize(image, from, `${path}: ${what}`, firstPath);
    add(image, indices);
  };
  await Promise.all(others.map(loadFrame));
  return { frames, from, to };
}

/** The indices of each path: at the ends of a video, a clip repeats its first or last frame. */
function indicesByPath(paths: readonly string[]): Map<string, number[]> {
  const indices = new Map<string, number[]>();
  paths.forEach((path, t) => {
    const list = indices.get(path);
    if (list) list.push(t);
    else indices.set(path, [t]);
  });
  return indices;
}

function requireSize(image: Size, expected: Size, where: string, firstPath: string): void {
  if (image.height === expected.height && image.width === expected.width) return;
  throw new DataError(
    `${where}: the frame has ${image.width}×${image.height} pixels, but ${firstPath} has ` +
      `${expected.width}×${expected.height}; all frames of a clip must have the same size`,
  );
}

/** Part of a batch's video: a clip's first element, and the padded size of its frames. */
export interface Region {
  readonly offset: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Writes the model's input [numFrames, region.height, region.width, 3] into `video`: colours mapped and normalised, zeros right
 * of and below the image.
 */
export function writeVideo(clip: Clip, video: Float32Array, region: Region): void {
  const { colours, frames: pixels } = clip;
  const bytes = clip.width * 3;
  const paddedRow = region.width * 3;
  for (let t = 0; t < clip.numFrames; t++) {
    const frame = region.offset + t * region.height * paddedRow;
    for (let y = 0; y < clip.height; y++) {
      const from = (t * clip.height + y) * bytes;
      const to = frame + y * paddedRow;
      if (colours.kind === 'table') mapRow(colours, { pixels, from, bytes, video, to });
      else mixRow(colours, t, { pixels, from, bytes, video, to });
      video.fill(0, to + bytes, to + paddedRow);
    }
    video.fill(0, frame + clip.height * paddedRow, frame + region.height * paddedRow);
  }
}

/** A row of pixels, and the position that it is written to. */
interface PixelRow {
  readonly pixels: Uint8Array;
  readonly from: number;
  readonly bytes: number;
  readonly video: Float32Array;
  readonly to: number;
}

function mapRow(
  { order, table }: Extract<ColourMap, { kind: 'table' }>,
  { pixels, from, bytes, video, to }: PixelRow,
): void {
  const [c0, c1, c2] = order;
  for (let i = from, out = to; i < from + bytes; i += 3, out += 3) {
    video[out] = table[pixels[i + c0]];
    video[out + 1] = table[256 + pixels[i + c1]];
    video[out + 2] = table[512 + pixels[i + c2]];
  }
}

function mixRow(
  { matrix, offsets }: Extract<ColourMap, { kind: 'affine' }>,
  t: number,
  { pixels, from, bytes, video, to }: PixelRow,
): void {
  const [m00, m01, m02, m10, m11, m12, m20, m21, m22] = matrix;
  const o0 = offsets[t * 3];
  const o1 = offsets[t * 3 + 1];
  const o2 = offsets[t * 3 + 2];
  for (let i = from, out = to; i < from + bytes; i += 3, out += 3) {
    const red = pixels[i];
    const green = pixels[i + 1];
    const blue = pixels[i + 2];
    video[out] = m00 * red + m01 * green + m02 * blue + o0;
    video[out + 1] = m10 * red + m11 * green + m12 * blue + o1;
    video[out + 2] = m20 * red + m21 * green + m22 * blue + o2;
  }
}

/** @file One clip: its frames decoded and resized, its boxes and labels, and the video tensor made from them. */
import { DataError } from '../../errors.js';
import { decodePicture } from './frames.js';
import { Resizer } from './resize.js';
import {
  type Augmentation,
  type ColourMap,
  makeColourMap,
  scaledSize,
  type TransformSettings,
  transformBoxes,
} from './transforms.js';

/** Which clip it is; travels unchanged from the data set to the evaluation. */
export interface ClipInfo {
  /** The index in the data set. */
  readonly clipId: number;
  readonly videoIndex: number;
  readonly videoName: string;
  readonly second: number;
}

/** All that is needed to load a clip, as plain data: it can be handed to another thread. */
export interface ClipSource {
  readonly info: ClipInfo;
  /** The file of each of the T frames; the same file may stand there several times. */
  readonly paths: readonly string[];
  /** x1, y1, x2, y2 as fractions of the picture. */
  readonly boxes: readonly (readonly number[])[];
  /** Action ids of each box, 1-based. */
  readonly labels: readonly (readonly number[])[];
  readonly numClasses: number;
}

/** All of a loaded clip but its pixels: what a thread tells another. */
export interface ClipFacts {
  readonly info: ClipInfo;
  readonly numFrames: number;
  readonly height: number;
  readonly width: number;
  /** Height and width of the frames as they were decoded. */
  readonly originalHeight: number;
  readonly originalWidth: number;
  /** w, h, w, h. */
  readonly whwh: Float32Array;
  /** x1, y1, x2, y2 in pixels of `frames`, clipped to (w − 1, h − 1): [n, 4]. */
  readonly boxes: Float32Array;
  /** Multi-hot, class = action id − 1: [n, numClasses]. */
  readonly labels: Float32Array;
}

/** A loaded clip. Its pixels stay 8-bit until `writeVideo`, which keeps a prefetched clip at a quarter of the size. */
export interface Clip extends ClipFacts {
  /** Resized, flipped, RGB: [numFrames, height, width, 3]. */
  readonly frames: Uint8Array;
  readonly colours: ColourMap;
}

/**
 * Decodes, resizes and flips the frames of a clip. Throws DataError that names the file, the video and the second where
 * a frame is missing, broken or of another size than the clip's first.
 */
export async function loadClip(
  source: ClipSource,
  settings: TransformSettings,
  augmentation: Augmentation,
): Promise<Clip> {
  const { info, paths } = source;
  const what = `video ${info.videoName}, second ${info.second}`;
  // At the ends of a video a clip repeats its first or last frame.
  const positions = new Map<string, number[]>();
  paths.forEach((path, t) => {
    const places = positions.get(path);
    if (places) places.push(t);
    else positions.set(path, [t]);
  });
  let size: { height: number; width: number } | null = null;
  let resizer: Resizer;
  let frames: Uint8Array;
  const loadFrame = async (path: string, places: number[]) => {
    const picture = await decodePicture(path, what);
    if (!size) {
      size = { height: picture.height, width: picture.width };
      const to = scaledSize(size, augmentation.minScale);
      resizer = new Resizer(size.height, size.width, to.height, to.width, augmentation.flip);
      frames = new Uint8Array(paths.length * to.height * to.width * 3);
    } else if (picture.height !== size.height || picture.width !== size.width) {
      throw new DataError(
        `${path}: ${what}: the frame has ${picture.width}×${picture.height} pixels, but ${paths[0]} has ` +
          `${size.width}×${size.height}; all frames of a clip must have one size`,
      );
    }
    const bytes = resizer.toHeight * resizer.toWidth * 3;
    const [first, ...others] = places;
    resizer.resize(picture.data, frames, first * bytes);
    for (const place of others) frames.copyWithin(place * bytes, first * bytes, (first + 1) * bytes);
  };
  const [first, ...rest] = positions;
  await loadFrame(...first);
  await Promise.all(rest.map((entry) => loadFrame(...entry)));

  const { toHeight: height, toWidth: width, fromHeight, fromWidth } = resizer!;
  const labels = new Float32Array(source.labels.length * source.numClasses);
  source.labels.forEach((ids, box) => {
    for (const id of ids) labels[box * source.numClasses + id - 1] = 1;
  });
  return {
    info,
    numFrames: paths.length,
    height,
    width,
    originalHeight: fromHeight,
    originalWidth: fromWidth,
    whwh: Float32Array.of(width, height, width, height),
    frames: frames!,
    colours: makeColourMap(settings, augmentation, frames!, paths.length),
    boxes: transformBoxes(
      source.boxes,
      { height: fromHeight, width: fromWidth },
      { height, width },
      augmentation.flip,
    ),
    labels,
  };
}

/**
 * Writes the model's input [numFrames, paddedHeight, paddedWidth, 3] into `video` at `offset`: colours mapped and
 * normalised, zeros right of and below the picture.
 */
export function writeVideo(
  clip: Clip,
  video: Float32Array,
  offset: number,
  paddedHeight: number,
  paddedWidth: number,
): void {
  const rowBytes = clip.width * 3;
  const paddedRow = paddedWidth * 3;
  for (let t = 0; t < clip.numFrames; t++) {
    const frame = offset + t * paddedHeight * paddedRow;
    for (let y = 0; y < clip.height; y++) {
      const from = (t * clip.height + y) * rowBytes;
      const to = frame + y * paddedRow;
      if (clip.colours.kind === 'table') mapRow(clip.colours, clip.frames, from, rowBytes, video, to);
      else mixRow(clip.colours, t, clip.frames, from, rowBytes, video, to);
      video.fill(0, to + rowBytes, to + paddedRow);
    }
    video.fill(0, frame + clip.height * paddedRow, frame + paddedHeight * paddedRow);
  }
}

function mapRow(
  { order, table }: Extract<ColourMap, { kind: 'table' }>,
  pixels: Uint8Array,
  from: number,
  rowBytes: number,
  video: Float32Array,
  to: number,
): void {
  const [c0, c1, c2] = order;
  for (const end = from + rowBytes; from < end; from += 3, to += 3) {
    video[to] = table[pixels[from + c0]];
    video[to + 1] = table[256 + pixels[from + c1]];
    video[to + 2] = table[512 + pixels[from + c2]];
  }
}

function mixRow(
  { matrix, offsets }: Extract<ColourMap, { kind: 'affine' }>,
  t: number,
  pixels: Uint8Array,
  from: number,
  rowBytes: number,
  video: Float32Array,
  to: number,
): void {
  const [m00, m01, m02, m10, m11, m12, m20, m21, m22] = matrix;
  const o0 = offsets[t * 3];
  const o1 = offsets[t * 3 + 1];
  const o2 = offsets[t * 3 + 2];
  for (const end = from + rowBytes; from < end; from += 3, to += 3) {
    const red = pixels[from];
    const green = pixels[from + 1];
    const blue = pixels[from + 2];
    video[to] = m00 * red + m01 * green + m02 * blue + o0;
    video[to + 1] = m10 * red + m11 * green + m12 * blue + o1;
    video[to + 2] = m20 * red + m21 * green + m22 * blue + o2;
  }
}

/** @file `stmixer data show`: clips of a data set as images, from the files or as training transforms them. */
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import type { Config } from '../config/index.js';
import { type Clip, loadClip, writeVideo } from '../data/clip/clip.js';
import { decodeImage } from '../data/clip/frames.js';
import { slowFrames } from '../data/clip/pathways.js';
import { type Augmentation, drawAugmentation, type TransformSettings } from '../data/clip/transforms.js';
import type { Split } from '../data/data_config.js';
import { AvaDataset } from '../data/datasets/ava_dataset.js';
import { actionName, readLabelNames } from '../data/datasets/label_names.js';
import { isSameTime, readableTime, timeText } from '../data/time.js';
import { type ClipImages, drawClip } from '../drawing/clip_sheet.js';
import { setUserFont } from '../drawing/fonts.js';
import { drawnName, undrawnNamesHint } from '../drawing/names.js';
import type { DrawnBox } from '../drawing/types.js';
import { DataError } from '../errors.js';
import { commandLock, FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { Rng } from '../util/random.js';

/** A number of clips, evenly spaced over the data set, or a list of clips. */
export type ClipChoice = number | readonly { readonly video: string; readonly second: number }[];

export interface ShowOptions {
  readonly split: Split;
  readonly clips: ClipChoice;
  readonly augmented: boolean;
  readonly out: string;
  /** Font file for characters that the package's fonts lack. */
  readonly font?: string;
  /** Called after each image is written. */
  readonly written?: (path: string) => void;
  /** Receives the reason if the folder may be in use and the command has to wait. */
  readonly wait?: (message: string) => void;
  /** Receives a sentence about names that no font can draw. */
  readonly warn?: (message: string) => void;
}

/** Draws clips into PNG files. Throws DataError for clips that do not exist, ConfigError for an unusable font. */
export async function showClips(cfg: Config, options: ShowOptions): Promise<void> {
  setUserFont(options.font);
  makeOutputFolder(options.out, '--out');
  const lock = await FolderLock.acquire(options.out, commandLock('data show'), { wait: options.wait });
  try {
    await drawClips(cfg, options);
  } finally {
    lock.release();
  }
}

async function drawClips(cfg: Config, options: ShowOptions): Promise<void> {
  const dataset = AvaDataset.open(cfg, options.split);
  const names = readLabelNames(cfg);
  const undrawn = undrawnNamesHint(names ?? []);
  if (undrawn !== null) options.warn?.(undrawn);
  const indices = chooseClips(dataset, options.clips);
  for (const index of indices) {
    const draw = options.augmented ? augmentedImages : originalImages;
    const images = await draw(dataset, index, names);
    const { videoName, second } = dataset.source(index).info;
    const name = `${videoName.replace(/[^\p{L}\p{N}._-]+/gu, '_')}_${timeText(second)}.png`;
    const path = join(options.out, name);
    writeFileSync(path, (await drawClip(withPathways(images, cfg))).png);
    options.written?.(path);
  }
}

function chooseClips(dataset: AvaDataset, choice: ClipChoice): number[] {
  if (typeof choice === 'number') {
    const count = Math.min(choice, dataset.length);
    return Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * dataset.length) / count));
  }
  return choice.map(({ video, second }) => findClip(dataset, video, second));
}

function findClip(dataset: AvaDataset, video: string, second: number): number {
  const videoIndex = dataset.videos.findIndex(({ name }) => name === video);
  if (videoIndex < 0) {
    const some = dataset.videos.slice(0, 3).map(({ name }) => name);
    throw new DataError(
      `--clips: there is no video ${video} in the ${dataset.split} lists; they have ${some.join(', ')}` +
        (dataset.videos.length > some.length ? ', …' : ''),
    );
  }
  const found = dataset.keyFrames.findIndex(
    (keyFrame) => keyFrame.videoIndex === videoIndex && isSameTime(keyFrame.second, second),
  );
  if (found >= 0) return found;
  const seconds = dataset.keyFrames.filter((keyFrame) => keyFrame.videoIndex === videoIndex);
  const range =
    seconds.length > 0
      ? `${readableTime(seconds[0].second)} to ${readableTime(seconds.at(-1)!.second)}`
      : 'none in this video';
  throw new DataError(
    `--clips: video ${video} has no key frame at second ${readableTime(second)} (it has ${range})`,
  );
}

/** The frames in the files. */
async function originalImages(
  dataset: AvaDataset,
  index: number,
  names: ReadonlyMap<number, string> | null,
): Promise<ClipImages> {
  const { info, paths, boxes, labels } = dataset.source(index);
  const key = Math.floor(paths.length / 2);
  const size = await decodeImage(paths[key], `video ${info.videoName}, second ${readableTime(info.second)}`);
  return {
    frames: paths.map((path) => ({ image: path, name: frameNumber(path) })),
    key,
    boxes: boxes.map((box, i) => trueBox(box, labels[i], names)),
    caption: caption(info, size, boxes.length),
  };
}

/** The clip as the model sees it, converted back to colours. */
async function augmentedImages(
  dataset: AvaDataset,
  index: number,
  names: ReadonlyMap<number, string> | null,
): Promise<ClipImages> {
  const source = dataset.source(index);
  const settings = dataset.transforms;
  const augmentation = drawAugmentation(settings, Rng.forName(0, `shown clip ${index}`));
  const clip = await loadClip(source, settings, augmentation);
  const { width, height } = clip;
  const images = await Promise.all(
    modelImages(clip, settings).map((data) =>
      sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer(),
    ),
  );
  const boxes = source.boxes.map((_, i) => {
    const corners = Array.from(clip.boxes.subarray(4 * i, 4 * i + 4));
    const fractions = corners.map((value, side) => value / (side % 2 === 0 ? width : height));
    return trueBox(fractions, source.labels[i], names);
  });
  return {
    frames: images.map((image, t) => ({ image, name: frameNumber(source.paths[t]) })),
    key: Math.floor(source.paths.length / 2),
    boxes,
    caption: `${caption(source.info, clip, boxes.length)} · ${describe(augmentation)}`,
  };
}

/** Marks the frames that the slow pathway sees, if there are two pathways. */
function withPathways(images: ClipImages, { MODEL, SLOWFAST }: Config): ClipImages {
  if (MODEL.BACKBONE.PATHWAYS === 1) return images;
  const slow = new Set(slowFrames(images.frames.length, SLOWFAST.ALPHA));
  const frames = images.frames.map((frame, t) =>
    slow.has(t) ? { ...frame, name: `${frame.name} slow` } : frame,
  );
  return { ...images, frames };
}

/** RGB images of the model's input, without its normalisation but with its colour augmentation. */
function modelImages(clip: Clip, { mean, std, bgr }: TransformSettings): Buffer[] {
  const size = clip.width * clip.height * 3;
  const video = new Float32Array(clip.numFrames * size);
  writeVideo(clip, video, { offset: 0, height: clip.height, width: clip.width });
  return Array.from({ length: clip.numFrames }, (_, t) => {
    const image = Buffer.alloc(size);
    for (let i = 0; i < size; i++) {
      const blueFirst = bgr ? i % 3 : 2 - (i % 3);
      const value = (video[t * size + i] * std[blueFirst] + mean[blueFirst]) * 255;
      image[bgr ? i - (i % 3) + 2 - (i % 3) : i] = Math.min(255, Math.max(0, Math.round(value)));
    }
    return image;
  });
}

function trueBox(
  box: ArrayLike<number>,
  labels: readonly number[],
  names: ReadonlyMap<number, string> | null,
): DrawnBox {
  return { box, labels: labels.map((id) => drawnName(id, actionName(names, id))), kind: 'truth' };
}

function caption(
  { videoName, second }: { videoName: string; second: number },
  { width, height }: { width: number; height: number },
  people: number,
): string {
  return `${videoName} · second ${readableTime(second)} · ${width}×${height} · ${people} ${people === 1 ? 'person' : 'people'}`;
}

function describe({ flip, jitter, lighting }: Augmentation): string {
  const colours = [
    ...jitter.map(({ kind, alpha }) => `${kind} ×${alpha.toFixed(2)}`),
    lighting && 'lighting',
  ];
  return [flip ? 'flipped' : 'not flipped', ...colours.filter(Boolean)].join(', ');
}

/** The number at the end of a file's name, or the name if it has none. */
function frameNumber(path: string): string {
  const name = basename(path);
  return /(\d+)\.\w+$/.exec(name)?.[1].replace(/^0+(?=\d)/, '') ?? name;
}

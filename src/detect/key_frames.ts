/** @file The key frames of an input, and the clips around them, which are made like those of an evaluation. */
import type { Config } from '../config/index.js';
import { type Clip, type ClipSource, loadClip, writeVideo } from '../data/clip/clip.js';
import { getSequence } from '../data/clip/frames.js';
import { type Augmentation, transformSettings } from '../data/clip/transforms.js';
import { type Batch, batchShape, makeBatch } from '../data/loading/collate.js';
import { exactStep, exactTime, frameOf } from '../data/time.js';
import type { Frames } from './input.js';

export interface KeyFrame {
  /** Seconds from the beginning of the input. */
  readonly second: number;
  /** Index among the frames. */
  readonly frame: number;
}

/** Lists a key frame every `step` seconds from the beginning; a step like 0.033 at 30 fps means every frame. */
export function listKeyFrames(numFrames: number, fps: number, step: number): KeyFrame[] {
  const keyFrames: KeyFrame[] = [];
  const exact = exactStep(step, fps);
  for (let i = 0; ; i++) {
    // 3 · 0.1 is not exactly 0.3.
    const second = exactTime(i * exact);
    const frame = frameOf(second, { first: 0, fps });
    if (frame >= numFrames) return keyFrames;
    if (frame !== keyFrames.at(-1)?.frame) keyFrames.push({ second, frame });
  }
}

/** Loads the clips of the key frames as one batch. Throws DataError that names a broken frame. */
export async function loadBatch(cfg: Config, frames: Frames, keyFrames: readonly KeyFrame[]): Promise<Batch> {
  const settings = transformSettings(cfg, 'test');
  // The boxes are drawn on the original images, so the clips are not flipped, unlike in an evaluation with TEST_FORCE_FLIP.
  const augmentation: Augmentation = {
    minScale: settings.minScales[0],
    flip: false,
    jitter: [],
    lighting: null,
  };
  const sources = keyFrames.map((keyFrame, i) => clipSource(cfg, frames, keyFrame, i));
  const clips = await Promise.all(sources.map((source) => loadClip(source, settings, augmentation)));
  return batchOf(clips, cfg.DATALOADER.SIZE_DIVISIBILITY);
}

function clipSource(cfg: Config, frames: Frames, { second, frame }: KeyFrame, clipId: number): ClipSource {
  const { NUM_FRAMES, SAMPLING_RATE } = cfg.DATA;
  const half = Math.floor((NUM_FRAMES * SAMPLING_RATE) / 2);
  const sequence = getSequence(frame, half, SAMPLING_RATE, frames.paths.length);
  return {
    info: { clipId, videoIndex: 0, videoName: frames.name, second },
    paths: sequence.map((index) => frames.paths[index]),
    boxes: [],
    labels: [],
    numClasses: cfg.MODEL.STM.ACTION_CLASSES,
  };
}

function batchOf(clips: readonly Clip[], sizeDivisibility: number): Batch {
  const shape = batchShape(clips, sizeDivisibility);
  const [, numFrames, height, width] = shape;
  const clipLength = numFrames * height * width * 3;
  const video = new Float32Array(clips.length * clipLength);
  clips.forEach((clip, i) => {
    writeVideo(clip, video, { offset: i * clipLength, height, width });
  });
  return makeBatch(clips, shape, video);
}

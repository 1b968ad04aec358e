/** @file A configuration for tests of the data code, and small AVA folders made on the spot. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { onTestFinished } from 'vitest';
import type { DataConfig } from '../src/data/data_config.js';

/** The official defaults of the keys that the data code reads, with `KEY.PATH: value` changes on top. */
export function dataConfig(changes: Record<string, unknown> = {}): DataConfig {
  const config: Record<string, Record<string, unknown>> = {
    DATA: {
      PATH_TO_DATA_DIR: '',
      NUM_FRAMES: 4,
      SAMPLING_RATE: 16,
      MEAN: [0.45, 0.45, 0.45],
      STD: [0.225, 0.225, 0.225],
      TRAIN_MIN_SCALES: [256, 320],
      TEST_MIN_SCALES: [256],
      RANDOM_FLIP: true,
      REVERSE_INPUT_CHANNEL: false,
      DATASETS: ['ava_v2.2'],
    },
    AVA: {
      FPS: 30,
      FRAME_DIR: 'frames/',
      FRAME_LIST_DIR: 'frame_lists/',
      ANNOTATION_DIR: 'annotations_v2.2/',
      TRAIN_LISTS: ['train.csv'],
      TEST_LISTS: ['val.csv'],
      TRAIN_GT_BOX_LISTS: ['ava_train_v2.2.csv'],
      TEST_GT_BOX_LISTS: ['ava_val_v2.2.csv'],
      BGR: false,
      TRAIN_USE_COLOR_AUGMENTATION: false,
      TRAIN_PCA_JITTER_ONLY: true,
      TRAIN_PCA_EIGVAL: [0.225, 0.224, 0.229],
      TRAIN_PCA_EIGVEC: [
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.814],
        [-0.5836, -0.6948, 0.4203],
      ],
      TEST_FORCE_FLIP: false,
    },
    DATALOADER: { NUM_WORKERS: 4, SIZE_DIVISIBILITY: 32, ASPECT_RATIO_GROUPING: false },
    MODEL: { STM: { ACTION_CLASSES: 80 } },
    SOLVER: { MAX_EPOCH: 2, ITER_PER_EPOCH: 10, VIDEOS_PER_BATCH: 2 },
    TEST: { VIDEOS_PER_BATCH: 2 },
  };
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop()!;
    let section: Record<string, unknown> = config;
    for (const key of keys) section = section[key] as Record<string, unknown>;
    section[last] = value;
  }
  return config as unknown as DataConfig;
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stmixer-data-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface AvaFolder {
  readonly folder: string;
  config(changes?: Record<string, unknown>): DataConfig;
  write(path: string, text: string | Uint8Array): string;
  framePath(video: string, frame: number): string;
}

/** Videos of numbered one-colour-per-frame JPEG pictures with noise, at one frame per second, beside lists for both splits. */
export async function makeAvaFolder(options: {
  videos: Record<string, { frames: number; width: number; height: number }>;
  annotations: string[];
}): Promise<AvaFolder> {
  const folder = temporaryFolder();
  const framePath = (video: string, frame: number) =>
    join(folder, 'frames', video, `${video}_${String(frame).padStart(6, '0')}.jpg`);
  const write = (path: string, text: string | Uint8Array) => {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  };
  const lines = ['original_vido_id video_id frame_id path labels'];
  for (const [index, [video, { frames, width, height }]] of Object.entries(options.videos).entries()) {
    mkdirSync(join(folder, 'frames', video), { recursive: true });
    for (let frame = 0; frame < frames; frame++) {
      const pixels = new Uint8Array(width * height * 3);
      for (let i = 0; i < pixels.length; i++)
        pixels[i] = (i * 7 + frame * 31 + index * 101 + ((i * i) >> 5)) & 255;
      await sharp(pixels, { raw: { width, height, channels: 3 } })
        .jpeg()
        .toFile(framePath(video, frame));
      lines.push(`${video} ${index} ${frame} ${video}/${video}_${String(frame).padStart(6, '0')}.jpg ""`);
    }
  }
  for (const name of ['train.csv', 'val.csv']) write(`frame_lists/${name}`, `${lines.join('\n')}\n`);
  for (const name of ['ava_train_v2.2.csv', 'ava_val_v2.2.csv']) {
    write(`annotations_v2.2/${name}`, `${options.annotations.join('\n')}\n`);
  }
  const config = (changes: Record<string, unknown> = {}) =>
    dataConfig({
      'DATA.PATH_TO_DATA_DIR': folder,
      'DATA.SAMPLING_RATE': 1,
      'DATA.TRAIN_MIN_SCALES': [24, 32],
      'DATA.TEST_MIN_SCALES': [24],
      'AVA.FPS': 1,
      ...changes,
    });
  return { folder, config, write, framePath };
}

/** @file A configuration for tests of the data code, and small AVA folders made on the spot. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { type Config, configFromOverrides } from '../../src/config/index.js';
import { temporaryFolder } from './temporary_files.js';

/** The official defaults with `KEY.PATH: value` changes on top. */
export function dataConfig(changes: Record<string, unknown> = {}): Config {
  return configFromOverrides({
    'SOLVER.MAX_EPOCH': 2,
    'SOLVER.ITER_PER_EPOCH': 10,
    'SOLVER.VIDEOS_PER_BATCH': 2,
    ...changes,
  });
}

export interface AvaFolder {
  readonly folder: string;
  config(changes?: Record<string, unknown>): Config;
  write(path: string, text: string | Uint8Array): string;
  framePath(video: string, frame: number): string;
}

/** Videos of numbered one-colour-per-frame JPEG images with noise, at one frame per second, beside lists for both splits. */
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
      'DATALOADER.NUM_WORKERS': 0,
      ...changes,
    });
  return { folder, config, write, framePath };
}

/** @file Key frames and the clips around them. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { loadClip } from '../data/clip/clip.js';
import { transformSettings } from '../data/clip/transforms.js';
import type { Frames } from './input.js';
import { listKeyFrames, loadBatch } from './key_frames.js';

const folder = new URL('../../sample/frames/vtest_val', import.meta.url).pathname;
const paths = Array.from({ length: 12 }, (_, i) =>
  join(folder, `vtest_val_${String(i + 1).padStart(6, '0')}.jpg`),
);
const frames: Frames = {
  kind: 'folder',
  name: 'walkers',
  paths,
  fps: 10,
  video: null,
  notes: [],
  warnings: [],
  close() {},
};

describe('listKeyFrames', () => {
  it('lists a key frame every step, from the first frame on', () => {
    expect(listKeyFrames(25, 10, 1)).toEqual([
      { second: 0, frame: 0 },
      { second: 1, frame: 10 },
      { second: 2, frame: 20 },
    ]);
    expect(listKeyFrames(4, 10, 0.1).map(({ second }) => second)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(listKeyFrames(1, 30, 1)).toEqual([{ second: 0, frame: 0 }]);
  });

  it('lists every frame at its own time for a step that is a rounded time of one frame', () => {
    const keyFrames = listKeyFrames(3000, 30, 0.033);
    expect(keyFrames).toHaveLength(3000);
    expect(keyFrames.at(-1)).toEqual({ second: 99.966667, frame: 2999 });
    expect(listKeyFrames(50, 25, 0.5).map(({ second, frame }) => [second, frame])).toEqual([
      [0, 0],
      [0.5, 13],
      [1, 25],
      [1.5, 38],
    ]);
  });

  it('lists no frame twice for small steps', () => {
    expect(listKeyFrames(3, 10, 0.02).map(({ frame }) => frame)).toEqual([0, 1, 2]);
  });
});

describe('loadBatch', () => {
  const cfg = tinyConfig({ 'DATA.NUM_FRAMES': 4, 'DATA.SAMPLING_RATE': 3, 'DATA.TEST_MIN_SCALES': [40] });

  it('makes clips like an evaluation, clamped at the ends', async () => {
    const batch = await loadBatch(cfg, frames, [
      { second: 0, frame: 0 },
      { second: 0.7, frame: 7 },
    ]);
    expect(batch.shape).toEqual([2, 4, 64, 64, 3]);
    expect(batch.clips.map(({ videoName, second }) => [videoName, second])).toEqual([
      ['walkers', 0],
      ['walkers', 0.7],
    ]);
    const settings = transformSettings(cfg, 'test');
    const expected = await Promise.all(
      [
        [0, 0, 0, 3],
        [1, 4, 7, 10],
      ].map((places) =>
        loadClip(
          {
            info: batch.clips[0],
            paths: places.map((place) => paths[place]),
            boxes: [],
            labels: [],
            numClasses: 3,
          },
          settings,
          { minScale: 40, flip: false, jitter: [], lighting: null },
        ),
      ),
    );
    expect(Array.from(batch.whwh)).toEqual([53, 40, 53, 40, 53, 40, 53, 40]);
    // One pixel of each frame tells which it is.
    const [x, y] = [20, 30];
    expected.forEach(({ frames: pixels, colours }, b) => {
      if (colours.kind !== 'table') throw new Error('colours are changed');
      for (let t = 0; t < 4; t++) {
        const red = pixels[((t * 40 + y) * 53 + x) * 3];
        expect(batch.video[(((b * 4 + t) * 64 + y) * 64 + x) * 3]).toBe(colours.table[red]);
      }
    });
  });

  it('names a frame that cannot be read', async () => {
    const broken = { ...frames, paths: [...paths.slice(0, 3), 'no/such.jpg'] };
    await expect(loadBatch(cfg, broken, [{ second: 0, frame: 2 }])).rejects.toThrow(
      /^no\/such\.jpg: video walkers/,
    );
  });
});

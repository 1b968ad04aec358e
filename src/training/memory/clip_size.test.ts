/** @file Tests of the largest clip of a data set. */
import { describe, expect, it } from 'vitest';
import { makeAvaFolder } from '../../../test/support/ava_folder.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { largestClip } from './clip_size.js';

const options = { scales: [24, 64], sizeDivisibility: 32, mixed: false };

async function dataset(videos: Record<string, { width: number; height: number }>): Promise<AvaDataset> {
  const names = Object.keys(videos);
  const { config, write, framePath } = await makeAvaFolder({
    videos: Object.fromEntries(names.map((name) => [name, { frames: 3, ...videos[name] }])),
    annotations: names.map((name) => `${name},0902,0.1,0.1,0.5,0.9,1,0`),
  });
  if (names.includes('broken'))
    for (let i = 0; i < 3; i++) write(framePath('broken', i).split('/').slice(-3).join('/'), 'no picture');
  return AvaDataset.open(config(), 'train');
}

describe('largestClip', () => {
  it('returns the clip of the widest image at the largest scale, padded', async () => {
    const data = await dataset({ wide: { width: 80, height: 40 }, narrow: { width: 50, height: 40 } });
    expect(largestClip(data, options)).toEqual({ height: 64, width: 128 });
    expect(largestClip(data, { ...options, scales: [24] })).toEqual({ height: 32, width: 64 });
    expect(largestClip(data, { ...options, scales: [24], sizeDivisibility: 0 })).toEqual({
      height: 24,
      width: 48,
    });
  });

  it('returns the maximum width and height if clips of both kinds share a batch', async () => {
    const data = await dataset({ wide: { width: 80, height: 40 }, high: { width: 40, height: 60 } });
    expect(largestClip(data, options)).toEqual({ height: 64, width: 128 });
    expect(largestClip(data, { ...options, mixed: true })).toEqual({ height: 96, width: 128 });
  });

  it('skips images that it cannot read, and assumes 16:9 if it can read none', async () => {
    const some = await dataset({ broken: { width: 80, height: 40 }, good: { width: 48, height: 48 } });
    expect(largestClip(some, options)).toEqual({ height: 64, width: 64 });
    const none = await dataset({ broken: { width: 80, height: 40 } });
    expect(largestClip(none, options)).toEqual({ height: 64, width: 128 });
  });
});

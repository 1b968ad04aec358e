/** @file A number that tells training data apart. */
import { crc32 } from '../../formats/checksum.js';
import { AVA_FIRST_SECOND, exactTime } from '../time.js';
import type { BatchLoader } from './loader.js';
import type { TrainSampler } from './sampler.js';

/**
 * A checksum of the clips with their groups, in order, and of the batch size. An order of clips has a meaning for the same
 * data only.
 */
export function dataIdentity({ dataset, sampler }: BatchLoader<TrainSampler>): number {
  const { keyFrames, videos, timeBase } = dataset;
  // Times count from the first frame: other settings of the time base may mean the same frames.
  const shift = AVA_FIRST_SECOND - timeBase.first;
  const clips = keyFrames.map(({ videoIndex, second }, i) => {
    const time = shift === 0 ? second : exactTime(second + shift);
    return `${videos[videoIndex].name} ${time} ${sampler.groups[i]}\n`;
  });
  return crc32(Buffer.from(`${sampler.batchSize}\n${clips.join('')}`));
}

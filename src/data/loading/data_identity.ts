/** @file A number that tells training data apart. */
import { crc32 } from '../../formats/checksum.js';
import type { BatchLoader } from './loader.js';
import type { TrainSampler } from './sampler.js';

/**
 * A checksum of the clips with their groups, in order, and of the batch size. An order of clips has a meaning for the same
 * data only.
 */
export function dataIdentity({ dataset, sampler }: BatchLoader<TrainSampler>): number {
  const { keyFrames, videos } = dataset;
  const clips = keyFrames.map(
    ({ videoIndex, second }, i) => `${videos[videoIndex].name} ${second} ${sampler.groups[i]}\n`,
  );
  return crc32(Buffer.from(`${sampler.batchSize}\n${clips.join('')}`));
}

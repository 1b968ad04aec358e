/** @file Running a model on the test clips, in one process or in several that share them. */
import { deserialize, serialize } from 'node:v8';
import type { Config } from '../config/index.js';
import type { AvaDataset } from '../data/datasets/ava_dataset.js';
import { createTestLoader } from '../data/loading/loader.js';
import { type Communicator, SINGLE_PROCESS } from '../distributed/communicator.js';
import type { Detector } from '../model/detector.js';
import { type DetectAllOptions, detectAll } from './detect_clips.js';
import type { ClipDetections } from './types.js';

export interface DetectTogetherOptions extends Pick<DetectAllOptions, 'progress' | 'signal'> {
  readonly dataset: AvaDataset;
  /** Called for each clip that is left out by this process. */
  readonly warn: (message: string) => void;
  /** The processes that share the batches, each of which is computed by one of them; by default this process alone. */
  readonly communicator?: Communicator;
}

/**
 * Returns the model's detections in all clips, by rising clip number; null if a process was stopped, and in all
 * processes but 0. All processes must call this. Throws DataError if a prediction is not finite or a frame cannot be
 * read.
 */
export async function detectTogether(
  cfg: Config,
  model: Detector,
  { dataset, warn, communicator = SINGLE_PROCESS, progress, signal }: DetectTogetherOptions,
): Promise<ClipDetections[] | null> {
  const { rank, size } = communicator;
  const batches = createTestLoader(cfg, { dataset, warn, part: { index: rank, count: size } });
  const own = await detectAll(model, batches, {
    personThreshold: cfg.MODEL.STM.PERSON_THRESHOLD,
    mirrored: cfg.AVA.TEST_FORCE_FLIP,
    replay: cfg.ENGINE.REPLAY,
    // TEST.VIDEOS_PER_BATCH counts the clips of all processes that are computed at a time.
    clipsAtOnce: Math.ceil(cfg.TEST.VIDEOS_PER_BATCH / size),
    // The other processes are about as fast.
    progress: progress && (({ clips, seconds }) => progress({ clips: clips * size, seconds })),
    signal,
  });
  const clips = await gatherClips(own, communicator);
  // The order of images decides among equal scores, and batches grouped by shape come in another order.
  return clips?.sort((a, b) => a.clip.clipId - b.clip.clipId) ?? null;
}

async function gatherClips(
  own: ClipDetections[] | null,
  communicator: Communicator,
): Promise<ClipDetections[] | null> {
  if (communicator.size === 1) return own;
  const isComplete = Int32Array.of(own === null ? 0 : 1);
  await communicator.allReduce(isComplete, 'min');
  if (isComplete[0] === 0) return null;
  const all = await communicator.gather(serialize(own));
  return all?.flatMap((bytes) => deserialize(bytes) as ClipDetections[]) ?? null;
}

/** @file Running a model on the test clips, in one process or in several that share them. */
import { deserialize, serialize } from 'node:v8';
import type { Config } from '../config/index.js';
import type { AvaDataset } from '../data/datasets/ava_dataset.js';
import type { BatchShare } from '../data/loading/batch_share.js';
import { createTestLoader } from '../data/loading/loader.js';
import type { Communicator } from '../distributed/communicator.js';
import type { Detector } from '../model/detector.js';
import { type DetectAllOptions, detectAll } from './detect_clips.js';
import type { ClipDetections } from './types.js';

/** What connects the processes of an evaluation. */
export interface EvaluationProcesses {
  readonly communicator: Communicator;
  readonly share: BatchShare;
}

export interface DetectTogetherOptions extends Pick<DetectAllOptions, 'progress' | 'signal'> {
  readonly dataset: AvaDataset;
  /** Called for each clip that is left out. */
  readonly warn: (message: string) => void;
  /** The processes that share the clips; none by default. */
  readonly processes?: EvaluationProcesses | null;
}

/**
 * Returns the model's detections in all clips, by rising clip number; null if a process was stopped, and in all processes but 0. All
 * processes must call this. Throws DataError if a prediction is not finite or a frame cannot be read.
 */
export async function detectTogether(
  cfg: Config,
  model: Detector,
  { dataset, warn, processes = null, ...options }: DetectTogetherOptions,
): Promise<ClipDetections[] | null> {
  const batches = createTestLoader(cfg, { dataset, warn, share: processes?.share });
  const own = await detectAll(model, batches, {
    personThreshold: cfg.MODEL.STM.PERSON_THRESHOLD,
    mirrored: cfg.AVA.TEST_FORCE_FLIP,
    replay: cfg.ENGINE.REPLAY,
    ...options,
  });
  const clips = processes ? await gatherClips(own, processes) : own;
  // The order of images decides among equal scores, and batches grouped by shape come in another order.
  return clips?.sort((a, b) => a.clip.clipId - b.clip.clipId) ?? null;
}

async function gatherClips(
  own: readonly ClipDetections[] | null,
  { communicator, share }: EvaluationProcesses,
): Promise<ClipDetections[] | null> {
  await share.close();
  const isComplete = Int32Array.of(own === null ? 0 : 1);
  await communicator.allReduce(isComplete, 'min');
  if (own === null || isComplete[0] === 0) return null;
  const all = await communicator.gather(serialize(own));
  return all?.flatMap((bytes) => deserialize(bytes) as ClipDetections[]) ?? null;
}

/** @file Finds the checkpoints in a run's folder. */
import { basename, join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { namesIn } from '../files/folder_names.js';
import { readWeightFile } from '../formats/weight_file.js';
import { isCheckpointFile, LATEST_CHECKPOINT, numberIn } from './checkpoint_names.js';
import { followPointer } from './pointer.js';

/** A checkpoint of a run that can be opened. */
export interface FoundCheckpoint {
  readonly path: string;
  readonly iteration: number;
}

/** The iteration in a weight file, or null. Throws CheckpointError if the file cannot be opened. */
export function iterationIn(path: string): number | null {
  const content = readWeightFile(path);
  const iteration = content instanceof Map ? content.get('iteration') : null;
  return typeof iteration === 'number' ? iteration : null;
}

/** The iteration in a weight file; null also if the file cannot be opened. */
export function readableIteration(path: string): number | null {
  return orNull(() => iterationIn(path));
}

/** The checkpoints of a folder that can be opened and hold an iteration, newest first. */
export function checkpointsIn(folder: string): FoundCheckpoint[] {
  const found = namesIn(folder)
    .filter(isCheckpointFile)
    .flatMap((name) => {
      const path = join(folder, name);
      const iteration = readableIteration(path);
      return iteration === null ? [] : [{ path, iteration }];
    });
  // Of equal iterations the numbered checkpoint comes first, because the others are second names.
  return found.sort((a, b) => b.iteration - a.iteration || a.path.localeCompare(b.path));
}

/** The newest checkpoint of a run that may have been killed before it wrote `last_checkpoint`. */
export function newestCheckpoint(folder: string): string | null {
  const isOfRun = (name: string) => numberIn(name) !== null || name === `${LATEST_CHECKPOINT}.pth`;
  return checkpointsIn(folder).find(({ path }) => isOfRun(basename(path)))?.path ?? null;
}

/** Whether a file holds a training state beside its weights; false also if it cannot be opened. */
export function holdsTrainingState(path: string): boolean {
  const content = orNull(() => readWeightFile(path));
  const has = (key: string) => content instanceof Map && (content.get(key) ?? null) !== null;
  return ['optimizer', 'scheduler', 'iteration'].every(has);
}

/** The file that `last_checkpoint` names; null also if there is no such file. */
export function lastCheckpointIn(folder: string): string | null {
  return orNull(() => followPointer(folder)?.path ?? null);
}

function orNull<T>(find: () => T): T | null {
  try {
    return find();
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
}

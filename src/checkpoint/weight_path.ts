/** @file Finds the weight file for a path: the file itself, or a checkpoint of the run whose folder it is. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CheckpointError } from '../errors.js';
import { namesIn } from '../files/folder_names.js';
import { isFolder } from '../files/paths.js';
import { systemErrorText } from '../files/system_errors.js';
import { addressProblem, withoutPassword } from '../util/addresses.js';
import { firstNames, printable } from '../util/text.js';
import { BEST_CHECKPOINT, isCheckpointFile, LAST_CHECKPOINT, MOVED_RUN } from './checkpoint_names.js';
import { followPointer, type PointerTarget } from './pointer.js';
import { checkpointsIn, lastCheckpointIn } from './run_checkpoints.js';

/** The checkpoint of a run to take: the best to use a model, the last to continue its training. */
export type Preference = 'best' | 'last';

/** A weight file, and sentences about how it was found, if any are needed. */
export interface FoundWeights {
  readonly path: string;
  readonly note?: string;
  readonly warning?: string;
}

const WEIGHT_FILE = /\.(pth|pt|pyth|pkl|safetensors|bin|ckpt)$/i;
const MAX_NAMES = 8;

/**
 * The weight file for a path of the user. The folder of a run, or its `last_checkpoint`, stands for one of its checkpoints.
 * Throws CheckpointError if there is no such file, or if the folder holds no run.
 */
export function findWeights(path: string, preference: Preference): FoundWeights {
  if (isFolder(path)) return weightsOfFolder(path, preference);
  if (!existsSync(path)) throw missingFile(path);
  if (basename(path) !== LAST_CHECKPOINT) return { path };
  const target = followPointer(dirname(path));
  if (target === null) throw missingFile(path);
  return { ...target, note: `${path} names a checkpoint: taking ${target.path}` };
}

/** The checkpoint to take from the run whose folder is MODEL.WEIGHT: to start a new training, or to continue that run. */
export function preferenceFor(transfer: boolean): Preference {
  return transfer ? 'best' : 'last';
}

/** Finds the weights as `findWeights` does, for the path in MODEL.WEIGHT, which its sentences name. */
export function locateWeight(weight: string, preference: Preference): FoundWeights {
  try {
    const { note, ...found } = findWeights(weight, preference);
    return note === undefined ? found : { ...found, note: `MODEL.WEIGHT: ${note}` };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`MODEL.WEIGHT: ${error.message}`, { cause: error });
  }
}

function weightsOfFolder(folder: string, preference: Preference): FoundWeights {
  const found = runCheckpoint(folder, preference);
  if (found === null) {
    throw new CheckpointError(
      `${folder}: is a folder, not a weight file, and holds no run. ${weightsIn(folder)}`,
    );
  }
  const { path, which, warning } = found;
  return { path, note: `${folder} is the folder of a run: taking ${path}, its ${which} checkpoint`, warning };
}

/**
 * The best checkpoint of a run's folder, or the last one if that is preferred or there is no best; null if there is neither.
 * Throws CheckpointError if `last_checkpoint` leads to nothing and there is no other checkpoint.
 */
export function runCheckpoint(
  folder: string,
  preference: Preference,
): (PointerTarget & { readonly which: Preference }) | null {
  const best = join(folder, `${BEST_CHECKPOINT}.pth`);
  if (preference === 'best' && existsSync(best)) return { path: best, which: 'best' };
  const [newest] = lastCheckpointIn(folder) === null ? checkpointsIn(folder) : [];
  const last = newest ? { path: newest.path } : followPointer(folder);
  return last && { ...last, which: 'last' };
}

function weightsIn(folder: string): string {
  const files = namesIn(folder)
    .filter((name) => WEIGHT_FILE.test(name) || isCheckpointFile(name))
    .sort();
  if (files.length === 0)
    return 'No weight file (.pth, .pt, .safetensors, .pkl) lies in it; name a weight file';
  return `Name one of the weight files in it: ${firstNames(files.map(printable), MAX_NAMES)}`;
}

function missingFile(path: string): CheckpointError {
  const address = addressProblem(path, 'weights');
  if (address !== null) return new CheckpointError(`${withoutPassword(path)}: ${address}`);
  const place = resolve(path) === path ? '' : ` (looked for ${resolve(path)})`;
  return new CheckpointError(`${path}: ${whyMissing(path)}${place}${movedTo(path)}`);
}

/** The reason why a file is not found, which may be a folder that the user cannot enter. */
function whyMissing(path: string): string {
  try {
    statSync(path);
    return 'no such file';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'no such file' : systemErrorText(error);
  }
}

/** Names the place to which `--overwrite` has moved a missing file. */
function movedTo(path: string): string {
  const folders = namesIn(dirname(path)).filter((name) => name.startsWith(MOVED_RUN));
  const candidates = folders.map((name) => join(dirname(path), name, basename(path)));
  const found = candidates.filter((candidate) => existsSync(candidate));
  return found.length === 0 ? '' : `; a run was moved aside there, and with it ${found.join(', ')}`;
}

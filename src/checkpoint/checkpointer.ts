/** @file Saving and loading a training run's checkpoints, with the official trainer's names and contents. */
import { existsSync, rmSync } from 'node:fs';
import { copyFile, link, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { replaceFile, replacePath } from '../files/atomic_file.js';
import { namesIn } from '../files/folder_names.js';
import type { HostTensor } from '../formats/host_tensor.js';
import type { PyValue } from '../formats/python/values.js';
import { readWeightFile } from '../formats/weight_file.js';
import { isLeftover, LAST_CHECKPOINT, LATEST_CHECKPOINT, numberIn } from './checkpoint_names.js';
import type { Coverage } from './fit.js';
import { type LoadedWeights, loadWeights } from './load_weights.js';
import { followPointer, type PointerTarget } from './pointer.js';
import { checkpointsIn, lastCheckpointIn, newestCheckpoint, readableIteration } from './run_checkpoints.js';
import { makeJob, runJob, type SaveJob } from './save_job.js';
import { findWeights, type Preference } from './weight_path.js';
import { findStateDict, type ModelShapes } from './weights.js';

export {
  BEST_CHECKPOINT,
  checkpointName,
  FINAL_CHECKPOINT,
  isCheckpointFile,
  LAST_CHECKPOINT,
  LATEST_CHECKPOINT,
} from './checkpoint_names.js';
export { iterationIn } from './run_checkpoints.js';

/** The one key of our checkpoints that the official trainer does not have; it carries it along as it is. */
const RUN_KEY = 'stmixer';

/** What a checkpoint holds. */
export interface CheckpointParts {
  /** All parameters under PyTorch's names and in its order, then the buffers. */
  readonly model: ReadonlyMap<string, HostTensor>;
  /** State dicts in PyTorch's form. */
  readonly optimizer: PyValue;
  readonly scheduler: PyValue;
  /** Iterations done so far. */
  readonly iteration: number;
  /** What PyTorch's checkpoints have no place for: see training/run_state.ts. */
  readonly run?: PyValue;
}

/** What the command line and the config say about loading. */
export interface LoadRequest {
  /** MODEL.WEIGHT; empty: none. */
  readonly weight: string;
  /** `last_checkpoint` goes before MODEL.WEIGHT. */
  readonly resume: boolean;
  /** Weights only: neither optimizer, schedule nor iteration. */
  readonly transfer: boolean;
  readonly noHead: boolean;
}

/** The file to start from, and how. */
export interface LoadPlan {
  readonly path: string;
  readonly source: 'MODEL.WEIGHT' | typeof LAST_CHECKPOINT;
  readonly transfer: boolean;
  readonly noHead: boolean;
  /** How the file was found, in a sentence, if it is not the one that was named. */
  readonly note?: string;
  /** Why it may not be the file that is meant. */
  readonly warning?: string;
}

/** The file to load, and how. */
export interface LoadSource extends Pick<LoadPlan, 'path' | 'transfer' | 'noHead'> {
  /** How much of the model the file must hold; by default whatever fits. */
  readonly coverage?: Coverage;
  /** How the user gives a flag of `stmixer train` that loads fewer weights; by default by adding it. */
  withFlag?(flag: string): string;
}

export interface LoadedCheckpoint extends LoadedWeights {
  /** As the file has them; null where it has none or only weights were asked for. */
  readonly optimizer: PyValue;
  readonly scheduler: PyValue;
  readonly iteration: number | null;
  /** What a run of ours noted for its continuation. */
  readonly run: PyValue;
}

/** The checkpoints of one output folder. */
export class Checkpointer {
  constructor(readonly outputDir: string) {}

  pathOf(name: string): string {
    return join(this.outputDir, `${name}.pth`);
  }

  /**
   * What writes `<outputDir>/<name>.pth`, and then, if `isLast`, its path into `last_checkpoint`. Tensors are read when the
   * job is copied or run. Throws CheckpointError for what no checkpoint can hold.
   */
  job(
    name: string,
    { model, optimizer, scheduler, iteration, run }: CheckpointParts,
    isLast: boolean,
  ): SaveJob {
    const content = {
      model: new Map(model),
      optimizer,
      scheduler,
      iteration,
      ...(run && { [RUN_KEY]: run }),
    };
    return makeJob(this.pathOf(name), content, isLast ? join(this.outputDir, LAST_CHECKPOINT) : null);
  }

  /**
   * Writes a checkpoint and the pointer to it, each replaced as a whole. The tensors must not change until the promise
   * settles. Returns the path. Throws CheckpointError if the disk refuses; what was there before is untouched then.
   */
  async save(name: string, parts: CheckpointParts): Promise<string> {
    await runJob(this.job(name, parts, true));
    return this.pathOf(name);
  }

  /**
   * Gives a checkpoint a second name, in place of what has that name; without a second copy where the file system can.
   * Returns the new path. Throws CheckpointError if the disk refuses.
   */
  async alias(path: string, name: string): Promise<string> {
    const target = this.pathOf(name);
    await replacePath(target, async (temporary) => {
      await rm(temporary, { force: true });
      await link(path, temporary).catch(() => copyFile(path, temporary));
    });
    return target;
  }

  /**
   * Deletes all but the newest `keep` of the numbered checkpoints up to `iteration`; later ones are of another run. Returns
   * the names of those that could not be deleted.
   */
  prune(keep: number, iteration: number): string[] {
    const numbered = namesIn(this.outputDir).flatMap((file) => {
      const number = numberIn(file);
      return number !== null && number <= iteration ? [{ file, number }] : [];
    });
    numbered.sort((a, b) => b.number - a.number);
    return numbered.slice(keep).flatMap(({ file }) => (remove(join(this.outputDir, file)) ? [] : [file]));
  }

  /** Deletes model_latest.pth unless it is newer than `iteration`. */
  removeLatest(iteration: number): void {
    const path = this.pathOf(LATEST_CHECKPOINT);
    if (existsSync(path) && (readableIteration(path) ?? 0) <= iteration) remove(path);
  }

  /** Deletes what saves of runs that were killed have left; only for who has the folder for itself. */
  removeLeftovers(): void {
    for (const file of namesIn(this.outputDir)) if (isLeftover(file)) remove(join(this.outputDir, file));
  }

  /**
   * The checkpoints of the folder that can be opened, but for one, newest first. If the name of that one has its iteration,
   * later ones are left out: the run may have gone back from them.
   */
  others(path: string): string[] {
    const number = numberIn(basename(path)) ?? Number.POSITIVE_INFINITY;
    return checkpointsIn(this.outputDir)
      .filter((found) => basename(found.path) !== basename(path) && found.iteration <= number)
      .map((found) => found.path);
  }

  /** As lastCheckpoint, but null also where `last_checkpoint` leads to nothing. */
  findLast(): string | null {
    return lastCheckpointIn(this.outputDir);
  }

  /**
   * The file to start from, or null for a fresh start: MODEL.WEIGHT, or without one the last checkpoint; with `resume` the
   * last checkpoint comes first, whole, so that a requeued job's command line can stay as it is. A run that was killed
   * between its first checkpoint and `last_checkpoint` resumes from that checkpoint. If MODEL.WEIGHT is the folder of a run,
   * `preference` chooses the checkpoint. Throws CheckpointError if the chosen file is not there.
   */
  resolve(
    { weight, resume, transfer, noHead }: LoadRequest,
    preference: Preference = preferenceFor(transfer),
  ): LoadPlan | null {
    let last: PointerTarget | null = resume || weight === '' ? followPointer(this.outputDir) : null;
    if (resume && last === null) {
      const path = newestCheckpoint(this.outputDir);
      last = path === null ? null : { path };
    }
    if (last !== null) {
      const plan = this.continuation(last.path, { resume, transfer, noHead });
      return { ...plan, warning: last.warning };
    }
    if (weight === '') return null;
    return { ...locateWeight(weight, preference), source: 'MODEL.WEIGHT', transfer, noHead };
  }

  /** How a run continues from one of its own checkpoints: with `resume` whole, whatever else was asked for. */
  continuation(path: string, { resume, transfer, noHead }: Omit<LoadRequest, 'weight'>): LoadPlan {
    const whole = resume ? { transfer: false, noHead: false } : { transfer, noHead };
    return { path, source: LAST_CHECKPOINT, ...whole };
  }

  /** Whether `--resume` finds a run to continue here. */
  canResume(): boolean {
    return existsSync(join(this.outputDir, LAST_CHECKPOINT)) || newestCheckpoint(this.outputDir) !== null;
  }

  /**
   * The checkpoint that `last_checkpoint` names, or null without such a file. Throws CheckpointError if it leads to nothing.
   */
  lastCheckpoint(): string | null {
    return followPointer(this.outputDir)?.path ?? null;
  }

  /** Makes a file the one that `--resume` goes on from. Throws CheckpointError if the disk refuses. */
  async pointTo(path: string): Promise<void> {
    await replaceFile(join(this.outputDir, LAST_CHECKPOINT), (sink) => sink.write(Buffer.from(path)));
  }
}

/** The checkpoint of a run's folder in MODEL.WEIGHT: to start a new training from its weights, or to continue that one. */
export function preferenceFor(transfer: boolean): Preference {
  return transfer ? 'best' : 'last';
}

/** As findWeights, for the path in MODEL.WEIGHT, which sentences name. */
export function locateWeight(weight: string, preference: Preference): ReturnType<typeof findWeights> {
  try {
    const { note, ...found } = findWeights(weight, preference);
    return note === undefined ? found : { ...found, note: `MODEL.WEIGHT: ${note}` };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`MODEL.WEIGHT: ${error.message}`, { cause: error });
  }
}

/**
 * Loads the weights of a file into the model, one tensor at a time through `set`, and returns the other parts as they
 * are. Throws CheckpointError if the file cannot be read or does not fit the model.
 */
export function loadCheckpoint(
  { path, transfer, noHead, coverage = 'any', withFlag = (flag) => flag }: LoadSource,
  model: ModelShapes,
  set: (name: string, data: Float32Array) => void,
): LoadedCheckpoint {
  const content = readWeightFile(path);
  const state = findStateDict(path, content);
  const part = (key: string): PyValue =>
    !transfer && content instanceof Map && content.has('model') ? (content.get(key) ?? null) : null;
  const iteration = part('iteration');
  if (iteration !== null && !(Number.isSafeInteger(iteration) && (iteration as number) >= 0)) {
    throw new CheckpointError(`${path}: its iteration is ${String(iteration)}, not a whole number`);
  }
  return {
    ...loadWeights({ path, state }, model, { noHead, coverage, withFlag }, set),
    optimizer: part('optimizer'),
    scheduler: part('scheduler'),
    iteration: iteration as number | null,
    run: part(RUN_KEY),
  };
}

/** Whether the file is gone now. */
function remove(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
}

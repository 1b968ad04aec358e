/** @file Saving and loading a training run's checkpoints, with the official trainer's names and contents. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, link, rm } from 'node:fs/promises';
import { resolve as absolute, basename, dirname, join } from 'node:path';
import { CheckpointError } from '../errors.js';
import type { HostTensor } from '../util/host_tensor.js';
import type { PyValue } from '../util/python_values.js';
import { replacePath } from './atomic_file.js';
import { describeSystemError } from './file_source.js';
import type { Coverage } from './fit.js';
import { type LoadedWeights, loadWeights } from './load_weights.js';
import { makeJob, runJob, type SaveJob } from './save_job.js';
import { readWeightFile } from './weight_file.js';
import { findStateDict, type ModelShapes } from './weights.js';

export const LAST_CHECKPOINT = 'last_checkpoint';

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
}

/** The file to load, and how. */
export interface LoadSource extends Pick<LoadPlan, 'path' | 'transfer' | 'noHead'> {
  /** How much of the model the file must hold; by default whatever fits. */
  readonly coverage?: Coverage;
}

export interface LoadedCheckpoint extends LoadedWeights {
  /** As the file has them; null where it has none or only weights were asked for. */
  readonly optimizer: PyValue;
  readonly scheduler: PyValue;
  readonly iteration: number | null;
  /** What a run of ours noted for its continuation. */
  readonly run: PyValue;
}

/** The name, without folder and ending, of the checkpoint after an iteration. */
export function checkpointName(iteration: number): string {
  return `model_${String(iteration).padStart(7, '0')}`;
}

/** The name of the checkpoint at the end of a run. */
export const FINAL_CHECKPOINT = 'model_final';

/** The name of the checkpoint with the best evaluation. */
export const BEST_CHECKPOINT = 'model_best';

/** The name of the checkpoint that is saved by time; each one takes the place of the one before. */
export const LATEST_CHECKPOINT = 'model_latest';

/** Files of checkpoints, and what a killed run leaves of them. */
const NUMBERED = /^model_(\d{7,})\.pth$/;
const NAMED = [FINAL_CHECKPOINT, BEST_CHECKPOINT, LATEST_CHECKPOINT].map((name) => `${name}.pth`);
const LEFTOVER = /^(model_\w+\.pth|last_checkpoint)\.tmp-\d+-\d+$/;

/** Whether a run would have written a checkpoint under this file name. */
export function isCheckpointFile(name: string): boolean {
  return NUMBERED.test(name) || NAMED.includes(name);
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
    const numbered = this.#list().flatMap((file) => {
      const number = Number(NUMBERED.exec(file)?.[1] ?? Number.NaN);
      return number <= iteration ? [{ file, number }] : [];
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
    for (const file of this.#list()) if (LEFTOVER.test(file)) remove(join(this.outputDir, file));
  }

  /** The checkpoints of the folder that can be opened, but for one, newest first. */
  others(path: string): string[] {
    const found = this.#list()
      .filter((file) => /^model_\w+\.pth$/.test(file) && file !== basename(path))
      .map((file) => join(this.outputDir, file))
      .map((file) => ({ path: file, iteration: readableIteration(file) }))
      .filter(({ iteration }) => iteration !== null);
    // Of equal ones the numbered first: the others are second names.
    found.sort((a, b) => Number(b.iteration) - Number(a.iteration) || a.path.localeCompare(b.path));
    return found.map((file) => file.path);
  }

  /** As lastCheckpoint, but null also where `last_checkpoint` leads to nothing. */
  findLast(): string | null {
    try {
      return this.lastCheckpoint();
    } catch (error) {
      if (error instanceof CheckpointError) return null;
      throw error;
    }
  }

  #list(): string[] {
    try {
      return readdirSync(this.outputDir);
    } catch {
      return [];
    }
  }

  /**
   * The file to start from, or null for a fresh start: MODEL.WEIGHT, or without one the last checkpoint; with `resume` the
   * last checkpoint comes first, whole, so that a requeued job's command line can stay as it is. A run that was killed
   * between its first checkpoint and `last_checkpoint` resumes from that checkpoint. Throws CheckpointError if the chosen
   * file is not there.
   */
  resolve({ weight, resume, transfer, noHead }: LoadRequest): LoadPlan | null {
    let last = resume || weight === '' ? this.lastCheckpoint() : null;
    if (resume) last ??= this.#newestNumbered();
    if (last !== null) return this.continuation(last, { resume, transfer, noHead });
    if (weight === '') return null;
    if (!existsSync(weight)) {
      const place = absolute(weight) === weight ? '' : ` (looked for ${absolute(weight)})`;
      throw new CheckpointError(`MODEL.WEIGHT: ${weight}: no such file${place}`);
    }
    return { path: weight, source: 'MODEL.WEIGHT', transfer, noHead };
  }

  /** How a run continues from one of its own checkpoints: with `resume` whole, whatever else was asked for. */
  continuation(path: string, { resume, transfer, noHead }: Omit<LoadRequest, 'weight'>): LoadPlan {
    const whole = resume ? { transfer: false, noHead: false } : { transfer, noHead };
    return { path, source: LAST_CHECKPOINT, ...whole };
  }

  /** Whether `--resume` finds a run to continue here. */
  canResume(): boolean {
    return existsSync(join(this.outputDir, LAST_CHECKPOINT)) || this.#newestNumbered() !== null;
  }

  #newestNumbered(): string | null {
    return this.others('').find((path) => NUMBERED.test(basename(path))) ?? null;
  }

  /**
   * The checkpoint that `last_checkpoint` names, or null without such a file. The file of that name beside it comes first,
   * since the folder may have been copied or moved; else the path is relative to the working directory, as in the official
   * code.
   */
  lastCheckpoint(): string | null {
    const pointer = join(this.outputDir, LAST_CHECKPOINT);
    let path: string;
    try {
      path = readFileSync(pointer, 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new CheckpointError(`${pointer}: cannot be read: ${describeSystemError(error)}`, {
        cause: error,
      });
    }
    const advice = `write the path of the checkpoint to go on from into ${pointer}, or delete it to start afresh`;
    if (path === '') throw new CheckpointError(`${pointer}: is empty; ${advice}`);
    const beside = join(dirname(pointer), basename(path));
    const found = [beside, path].find((candidate) => existsSync(candidate));
    if (found === undefined) {
      throw new CheckpointError(
        `${pointer}: names ${path}, but neither that nor ${beside} exists; ${advice}`,
      );
    }
    return found;
  }
}

/**
 * Loads the weights of a file into the model, one tensor at a time through `set`, and returns the other parts as they
 * are. Throws CheckpointError if the file cannot be read or does not fit the model.
 */
export function loadCheckpoint(
  { path, transfer, noHead, coverage = 'any' }: LoadSource,
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
    ...loadWeights({ path, state }, model, { noHead, coverage }, set),
    optimizer: part('optimizer'),
    scheduler: part('scheduler'),
    iteration: iteration as number | null,
    run: part(RUN_KEY),
  };
}

/** The iteration that a weight file says it is of, or null. Throws CheckpointError if the file cannot be opened. */
export function iterationIn(path: string): number | null {
  const content = readWeightFile(path);
  const iteration = content instanceof Map ? content.get('iteration') : null;
  return typeof iteration === 'number' ? iteration : null;
}

/** Null also where the file cannot be opened. */
function readableIteration(path: string): number | null {
  try {
    return iterationIn(path);
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
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

/** @file Saves the checkpoints of a run during the training, and finds the one to start from. */
import { existsSync, rmSync } from 'node:fs';
import { copyFile, link, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { CheckpointError } from '../errors.js';
import { replacePath } from '../files/atomic_file.js';
import { namesIn } from '../files/folder_names.js';
import { retry } from '../files/retry.js';
import { byteLengthOf } from '../formats/host_tensor.js';
import { pickle } from '../formats/pickle/pickler.js';
import { availableMemory } from '../util/memory.js';
import { duration, gib } from '../util/text.js';
import { isLeftover, LAST_CHECKPOINT, LATEST_CHECKPOINT, numberIn } from './checkpoint_names.js';
import { type CheckpointParts, packParts } from './checkpoint_parts.js';
import { followPointer, type PointerTarget, writePointer } from './pointer.js';
import { checkpointsIn, lastCheckpointIn, newestCheckpoint, readableIteration } from './run_checkpoints.js';
import { locateWeight, type Preference, preferenceFor } from './weight_path.js';
import {
  copyCheckpoint,
  type PackedCheckpoint,
  type Patience,
  writeCheckpoint,
  writeInThread,
} from './write_checkpoint.js';

/** Memory that a copy of the state may take, as a fraction of the free memory. */
export const COPY_SHARE = 0.8;

export interface CheckpointerOptions {
  /** How long a failed save is repeated, in seconds (SOLVER.CHECKPOINT_RETRY). */
  readonly retrySeconds?: number;
  /** How many numbered checkpoints to keep, newest first; 0 for all (SOLVER.CHECKPOINT_KEEP). */
  readonly keep?: number;
  readonly log?: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  /** Returns the bytes of free memory. */
  freeMemory?(): number;
}

export interface SaveOptions {
  /** Whether `--resume` continues from this file. */
  readonly isLast: boolean;
}

/** The options of the command line and the configuration for loading. */
export interface LoadRequest {
  /** MODEL.WEIGHT; empty for none. */
  readonly weight: string;
  /** MODEL.WEIGHT_KEY; empty for no choice. */
  readonly weightKey?: string;
  /** Loads the whole last checkpoint of the run, and not MODEL.WEIGHT. */
  readonly resume: boolean;
  /** Weights only: neither optimizer, schedule nor iteration. */
  readonly transfer: boolean;
  readonly noHead: boolean;
  /** The checkpoint of the run to load instead of the last one. */
  readonly fallback?: string;
}

/** The file to start from, and how to load it. */
export interface LoadPlan {
  readonly path: string;
  /** MODEL.WEIGHT_KEY, if it concerns this file. */
  readonly weightKey?: string;
  readonly source: 'MODEL.WEIGHT' | typeof LAST_CHECKPOINT;
  readonly transfer: boolean;
  readonly noHead: boolean;
  /** A sentence on how the file was found, if the user named another path. */
  readonly note?: string;
  /** A sentence on why it may be the wrong file. */
  readonly warning?: string;
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** The checkpoints of one output folder. One is written at a time. */
export class Checkpointer {
  readonly #options: Required<CheckpointerOptions>;
  /** The save in progress; never rejects. */
  #work: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  constructor(
    readonly outputDir: string,
    options: CheckpointerOptions = {},
  ) {
    this.#options = { retrySeconds: 0, keep: 0, log: SILENT, freeMemory: availableMemory, ...options };
  }

  pathOf(name: string): string {
    return join(this.outputDir, `${name}.pth`);
  }

  /**
   * Waits for an earlier save, copies the state and starts a thread that writes `<name>.pth` and, if it is the last checkpoint,
   * its path into `last_checkpoint`. The state may change afterwards. Without memory for a copy, it returns when the file is
   * written. Returns the path. Throws CheckpointError if no checkpoint can hold the state, or if the earlier save failed.
   */
  async save(
    name: string,
    parts: CheckpointParts,
    { isLast }: SaveOptions = { isLast: true },
  ): Promise<string> {
    await this.settle();
    const pointer = isLast ? join(this.outputDir, LAST_CHECKPOINT) : null;
    const packed = { path: this.pathOf(name), ...pickle(packParts(parts)), pointer };
    const bytes = packed.tensors.reduce((sum, tensor) => sum + byteLengthOf(tensor), 0);
    if (bytes <= COPY_SHARE * this.#options.freeMemory()) {
      this.#start(packed, parts.iteration, writeInThread(copyCheckpoint(packed), this.#patience()));
    } else {
      this.#options.log.debug(`no memory for a copy of ${gib(bytes)}: training waits for ${packed.path}`);
      this.#start(packed, parts.iteration, writeCheckpoint(packed, this.#patience()));
      await this.settle();
    }
    return packed.path;
  }

  /**
   * Gives a saved checkpoint a second name, as a hard link if the file system has them or else as a copy. Replaces a file of
   * that name. Throws CheckpointError if the disk refuses.
   */
  async alias(path: string, name: string): Promise<void> {
    await this.settle();
    const { retrySeconds, onRetry } = this.#patience();
    const makeLink = async (temporary: string) => {
      await rm(temporary, { force: true });
      await link(path, temporary).catch(() => copyFile(path, temporary));
    };
    await retry(() => replacePath(this.pathOf(name), makeLink), retrySeconds, onRetry);
  }

  /** Makes a file the one that `--resume` continues from. Throws CheckpointError if the disk refuses. */
  async pointTo(path: string): Promise<void> {
    await writePointer(join(this.outputDir, LAST_CHECKPOINT), path);
  }

  /** Throws the error of a failed save, once. */
  check(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Waits for the current save. Throws CheckpointError if it failed. */
  async settle(): Promise<void> {
    await this.#work;
    this.check();
  }

  /** Waits for the current save, and logs its failure. */
  async close(): Promise<void> {
    try {
      await this.settle();
    } catch (error) {
      this.#options.log.error((error as Error).message);
    }
  }

  /** Deletes the temporary files of saves that were killed. The caller must hold the lock of the folder. */
  removeLeftovers(): void {
    for (const file of namesIn(this.outputDir)) if (isLeftover(file)) remove(join(this.outputDir, file));
  }

  /**
   * Finds the file to start from: MODEL.WEIGHT, or else the last checkpoint; null for a new training. With `resume` the last
   * checkpoint comes first, so that a requeued job can use the same command line. A run that was killed between its first
   * checkpoint and `last_checkpoint` resumes from that checkpoint. If MODEL.WEIGHT is the folder of a run, `preference` chooses
   * the checkpoint. Throws CheckpointError if the chosen file does not exist.
   */
  plan(
    { weight, weightKey, resume, transfer, noHead, fallback }: LoadRequest,
    preference: Preference = preferenceFor(transfer),
  ): LoadPlan | null {
    const last = fallback !== undefined ? { path: fallback } : this.#lastFor(weight, resume);
    if (last !== null) {
      const whole = resume ? { transfer: false, noHead: false } : { transfer, noHead };
      return { ...last, source: LAST_CHECKPOINT, ...whole };
    }
    if (weight === '') return null;
    return { ...locateWeight(weight, preference), weightKey, source: 'MODEL.WEIGHT', transfer, noHead };
  }

  #lastFor(weight: string, resume: boolean): PointerTarget | null {
    if (!resume && weight !== '') return null;
    const target = followPointer(this.outputDir);
    if (target !== null || !resume) return target;
    const path = newestCheckpoint(this.outputDir);
    return path === null ? null : { path };
  }

  /** Whether `--resume` finds a run to continue. */
  canResume(): boolean {
    return existsSync(join(this.outputDir, LAST_CHECKPOINT)) || newestCheckpoint(this.outputDir) !== null;
  }

  /** Returns the checkpoint that `last_checkpoint` names; null if there is no such file. */
  latest(): string | null {
    return lastCheckpointIn(this.outputDir);
  }

  /**
   * Returns the checkpoints that may replace one that cannot be used, newest first. If its name has an iteration, later
   * checkpoints are left out, because the run may have gone back from them.
   */
  fallbacks(path: string): string[] {
    const number = numberIn(basename(path)) ?? Number.POSITIVE_INFINITY;
    return checkpointsIn(this.outputDir)
      .filter((found) => basename(found.path) !== basename(path) && found.iteration <= number)
      .map((found) => found.path);
  }

  #start({ path, pointer }: PackedCheckpoint, iteration: number, writing: Promise<void>): void {
    const begin = performance.now();
    this.#work = writing.then(
      () => {
        this.#options.log.info({ seconds: (performance.now() - begin) / 1000 }, `saved ${path}`);
        if (pointer !== null && path !== this.pathOf(LATEST_CHECKPOINT)) this.#removeLatest(iteration);
        this.#prune(iteration);
      },
      (error: unknown) => {
        this.#failure = error instanceof CheckpointError ? this.#finalError(error, iteration) : error;
      },
    );
  }

  /** Deletes the checkpoint that was saved by time, unless it is newer than `iteration`. */
  #removeLatest(iteration: number): void {
    const path = this.pathOf(LATEST_CHECKPOINT);
    if (existsSync(path) && (readableIteration(path) ?? 0) <= iteration) remove(path);
  }

  /** Deletes old numbered checkpoints up to `iteration`. Later ones belong to another run. */
  #prune(iteration: number): void {
    const { keep, log } = this.#options;
    if (keep === 0) return;
    const numbered = namesIn(this.outputDir).flatMap((file) => {
      const number = numberIn(file);
      return number !== null && number <= iteration ? [{ file, number }] : [];
    });
    const old = numbered.sort((a, b) => b.number - a.number).slice(keep);
    const kept = old.filter(({ file }) => !remove(join(this.outputDir, file))).map(({ file }) => file);
    if (kept.length > 0) log.warn(`could not be deleted: ${kept.join(', ')}`);
  }

  #finalError({ message }: CheckpointError, iteration: number): CheckpointError {
    const tried = `tried for ${duration(this.#options.retrySeconds)} (SOLVER.CHECKPOINT_RETRY)`;
    const last = this.latest();
    const left =
      last === null ? 'There is no earlier checkpoint' : `The run can go on from ${last}, which is whole`;
    return new CheckpointError(
      `${message}; ${tried}. ${left}; the steps from there to iteration ${iteration} are lost.`,
    );
  }

  /** Repeats a save for some time, and logs each new reason once. */
  #patience(): Patience {
    const { retrySeconds, log } = this.#options;
    let last = '';
    const onRetry = ({ message }: CheckpointError) => {
      if (message === last) return;
      last = message;
      log.warn(`${message}; trying again for ${duration(retrySeconds)} (SOLVER.CHECKPOINT_RETRY)`);
    };
    return { retrySeconds, onRetry };
  }
}

/** Deletes a file. Returns whether it no longer exists. */
function remove(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
}

/** @file The checkpoints of a run: saves them beside the training, and finds the one to start from. */
import { existsSync, rmSync } from 'node:fs';
import { copyFile, link, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { CheckpointError } from '../errors.js';
import { replaceFile, replacePath } from '../files/atomic_file.js';
import { namesIn } from '../files/folder_names.js';
import { retry } from '../files/retry.js';
import { DTYPE_BYTES, sizeOf } from '../formats/host_tensor.js';
import { pickle } from '../formats/pickle/pickler.js';
import { availableMemory } from '../util/memory.js';
import { duration, gib } from '../util/text.js';
import { isLeftover, LAST_CHECKPOINT, LATEST_CHECKPOINT, numberIn } from './checkpoint_names.js';
import { type CheckpointParts, packParts } from './checkpoint_parts.js';
import { followPointer, type PointerTarget } from './pointer.js';
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
  /** For how long a save is tried again while the disk refuses, in seconds (SOLVER.CHECKPOINT_RETRY). */
  readonly retrySeconds?: number;
  /** How many numbered checkpoints to keep, newest first; 0 for all (SOLVER.CHECKPOINT_KEEP). */
  readonly keep?: number;
  readonly log?: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  /** Bytes of memory that the machine has left. */
  freeMemory?(): number;
}

export interface SaveOptions {
  /** Whether a run continues from this file by itself. */
  readonly isLast: boolean;
}

/** What the command line and the config say about loading. */
export interface LoadRequest {
  /** MODEL.WEIGHT; empty for none. */
  readonly weight: string;
  /** Takes the last checkpoint of the run rather than MODEL.WEIGHT, and all of it. */
  readonly resume: boolean;
  /** Weights only: neither optimizer, schedule nor iteration. */
  readonly transfer: boolean;
  readonly noHead: boolean;
  /** A checkpoint of the run to continue from in place of the last one. */
  readonly fallback?: string;
}

/** The file to start from, and how. */
export interface LoadPlan {
  readonly path: string;
  readonly source: 'MODEL.WEIGHT' | typeof LAST_CHECKPOINT;
  readonly transfer: boolean;
  readonly noHead: boolean;
  /** How the file was found, in a sentence, if it is not the one that was named. */
  readonly note?: string;
  /** Why it may be the wrong file. */
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
   * Copies the state, which may change afterwards, and starts a thread that writes `<name>.pth` and then, if it is the last
   * checkpoint, its path into `last_checkpoint`. Waits for an earlier save first. Without memory for a copy it returns only
   * when the file is written. Returns the path. Throws CheckpointError for a state that no checkpoint can hold, or if the
   * earlier save failed.
   */
  async save(
    name: string,
    parts: CheckpointParts,
    { isLast }: SaveOptions = { isLast: true },
  ): Promise<string> {
    await this.settle();
    const pointer = isLast ? join(this.outputDir, LAST_CHECKPOINT) : null;
    const packed = { path: this.pathOf(name), ...pickle(packParts(parts)), pointer };
    const bytes = packed.tensors.reduce(
      (sum, { dtype, shape }) => sum + sizeOf(shape) * DTYPE_BYTES[dtype],
      0,
    );
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
   * Gives a saved checkpoint a second name, as a hard link where the file system has them. A file of that name is replaced.
   * Throws CheckpointError if the disk refuses.
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
    await replaceFile(join(this.outputDir, LAST_CHECKPOINT), (sink) => sink.write(Buffer.from(path)));
  }

  /** Throws the error of a save that failed, once. */
  check(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Waits until everything is written. Throws CheckpointError if that failed. */
  async settle(): Promise<void> {
    await this.#work;
    this.check();
  }

  /** Waits until everything is written and logs a failure. */
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
   * The file to start from, or null for a fresh start: MODEL.WEIGHT, or without it the last checkpoint. With `resume` the
   * last checkpoint comes first, so that a requeued job can use the same command line. A run that was killed between its
   * first checkpoint and `last_checkpoint` resumes from that checkpoint. If MODEL.WEIGHT is the folder of a run,
   * `preference` chooses the checkpoint. Throws CheckpointError if the chosen file does not exist.
   */
  plan(
    { weight, resume, transfer, noHead, fallback }: LoadRequest,
    preference: Preference = preferenceFor(transfer),
  ): LoadPlan | null {
    const last = fallback !== undefined ? { path: fallback } : this.#lastFor(weight, resume);
    if (last !== null) {
      const whole = resume ? { transfer: false, noHead: false } : { transfer, noHead };
      return { ...last, source: LAST_CHECKPOINT, ...whole };
    }
    if (weight === '') return null;
    return { ...locateWeight(weight, preference), source: 'MODEL.WEIGHT', transfer, noHead };
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

  /** The checkpoint that `last_checkpoint` names; null if it names none that exists. */
  latest(): string | null {
    return lastCheckpointIn(this.outputDir);
  }

  /**
   * The other checkpoints that can be opened, newest first, for one that cannot be used. If that one has its iteration in
   * its name, later ones are left out: the run may have gone back from them.
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

  /** Deletes all but the newest numbered checkpoints up to `iteration`. Later ones belong to another run. */
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

  /** Tries again for some time, and logs each new reason once. */
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

/** Deletes a file; returns whether it is gone. */
function remove(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
}

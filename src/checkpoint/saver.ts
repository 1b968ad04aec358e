/** @file Checkpoints written beside the training: a copy of the state goes to a thread, which has the patience for the disk. */

import { CheckpointError } from '../errors.js';
import { retry } from '../files/retry.js';
import { DTYPE_BYTES, sizeOf } from '../formats/host_tensor.js';
import type { Logger } from '../run/log.js';
import { availableMemory } from '../util/memory.js';
import { duration, gib } from '../util/text.js';
import { EXTENSION, startThread } from '../util/threads.js';
import { type Checkpointer, type CheckpointParts, LATEST_CHECKPOINT } from './checkpointer.js';
import { type CopiedJob, copyJob, runJob, type SaveJob } from './save_job.js';
import type { SaveReply, SaveRequest } from './writer_thread.js';

const PROGRAM = new URL(`./writer_thread${EXTENSION}`, import.meta.url);

/** Of the memory that is free, the part that a copy of the state may take. */
export const COPY_SHARE = 0.8;

export interface SaverOptions {
  /** For how long the disk may refuse, in seconds (SOLVER.CHECKPOINT_RETRY). */
  readonly retrySeconds: number;
  /** How many numbered checkpoints stay, 0 for all (SOLVER.CHECKPOINT_KEEP). */
  readonly keep: number;
  readonly log: Logger;
  /** Bytes of memory that the machine has left. */
  availableMemory?(): number;
}

export interface SaveOptions {
  /** Whether a run continues from this file by itself. */
  readonly isLast: boolean;
}

/** Saves one checkpoint at a time; what failed for good is thrown by the next call of `check`, `save` or `settle`. */
export class CheckpointSaver {
  /** Everything that was asked for so far; never rejects. */
  #work: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  constructor(
    private readonly checkpointer: Checkpointer,
    private readonly options: SaverOptions,
  ) {}

  /**
   * Copies the state, after which it may change, and leaves the rest to a thread; waits for an earlier save first. Where
   * there is no memory for a copy this returns when the file is written. Returns its path.
   */
  async save(
    name: string,
    parts: CheckpointParts,
    { isLast }: SaveOptions = { isLast: true },
  ): Promise<string> {
    await this.settle();
    const job = this.checkpointer.job(name, parts, isLast);
    const bytes = job.tensors.reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * DTYPE_BYTES[dtype], 0);
    if (bytes > COPY_SHARE * (this.options.availableMemory ?? availableMemory)()) {
      this.options.log.debug(`no memory for a copy of ${gib(bytes)}: training waits for ${job.path}`);
      this.#start(job, () => this.#write(job), parts.iteration);
      await this.settle();
    } else {
      const copy = copyJob(job);
      this.#start(job, () => this.#writeInThread(copy), parts.iteration);
    }
    return job.path;
  }

  /** Gives a checkpoint of this saver a second name, once it is there. */
  async alias(path: string, name: string): Promise<string> {
    await this.settle();
    return await retry(() => this.checkpointer.alias(path, name), this.options.retrySeconds, this.#again());
  }

  /** Throws what has failed since it was last asked. */
  check(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Waits until all is written. Throws CheckpointError where that failed. */
  async settle(): Promise<void> {
    await this.#work;
    this.check();
  }

  /** Waits for what is being written; a failure is logged. */
  async close(): Promise<void> {
    try {
      await this.settle();
    } catch (error) {
      this.options.log.error((error as Error).message);
    }
  }

  #start({ path, pointer }: SaveJob, write: () => Promise<void>, iteration: number): void {
    const { keep, log } = this.options;
    const begin = performance.now();
    this.#work = write().then(
      () => {
        log.info({ seconds: (performance.now() - begin) / 1000 }, `saved ${path}`);
        if (pointer !== null && path !== this.checkpointer.pathOf(LATEST_CHECKPOINT))
          this.checkpointer.removeLatest(iteration);
        const kept = keep > 0 ? this.checkpointer.prune(keep, iteration) : [];
        if (kept.length > 0) log.warn(`could not be deleted: ${kept.join(', ')}`);
      },
      (error: unknown) => {
        this.#failure = error instanceof CheckpointError ? this.#givenUp(error, iteration) : error;
      },
    );
  }

  #givenUp({ message }: CheckpointError, iteration: number): CheckpointError {
    const tried = `tried for ${duration(this.options.retrySeconds)} (SOLVER.CHECKPOINT_RETRY)`;
    const last = this.checkpointer.findLast();
    const left =
      last === null ? 'There is no earlier checkpoint' : `The run can go on from ${last}, which is whole`;
    return new CheckpointError(
      `${message}; ${tried}. ${left}; the steps from there to iteration ${iteration} are lost.`,
    );
  }

  #write(job: SaveJob): Promise<void> {
    return retry(() => runJob(job), this.options.retrySeconds, this.#again());
  }

  #writeInThread(job: CopiedJob): Promise<void> {
    // One for each save: its end gives all memory of the copy back, which its own garbage collector might not for long.
    const thread = startThread(PROGRAM);
    const again = this.#again();
    return new Promise<void>((resolve, reject) => {
      const receive = (reply: SaveReply) => {
        if (reply.kind === 'again') again(new CheckpointError(reply.message));
        else if (reply.kind === 'done') end();
        else end(reply.refused ? new CheckpointError(reply.message) : new Error(reply.message));
      };
      const die = (error: unknown) => {
        const why = error instanceof Error ? error.message : `exit code ${error}`;
        end(new CheckpointError(`${job.path}: was not written: the thread that writes it ended: ${why}`));
      };
      const end = (error?: Error) => {
        thread.off('message', receive).off('error', die).off('exit', die);
        void thread.terminate().then(() => (error ? reject(error) : resolve()));
      };
      thread.on('message', receive).on('error', die).on('exit', die);
      const request: SaveRequest = { job, retrySeconds: this.options.retrySeconds };
      const buffers = job.tensors.map(({ data }) => data.buffer as ArrayBuffer);
      thread.postMessage(request, buffers);
    });
  }

  /** Says once per reason that a save is being tried again. */
  #again(): (error: CheckpointError) => void {
    let last = '';
    return ({ message }) => {
      if (message === last) return;
      last = message;
      const { retrySeconds, log } = this.options;
      log.warn(`${message}; trying again for ${duration(retrySeconds)} (SOLVER.CHECKPOINT_RETRY)`);
    };
  }
}

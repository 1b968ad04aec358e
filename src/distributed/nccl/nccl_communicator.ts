/**
 * @file The GPUs of several processes, as NCCL connects them.
 *
 * Nothing here blocks this thread: it asks NCCL and the GPU again and again, so that an error of another process or a
 * timeout can end sums that would never end by themselves.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { CommunicationError } from '../../errors.js';
import type { Address } from '../../util/native/native.js';
import { roughDuration } from '../../util/text.js';
import type { ProcessGroup } from '../process_group.js';
import { type DeviceNumbers, NcclError, type NcclFunctions } from './functions.js';

/** Milliseconds during which this thread asks in every turn of the event loop. Later it asks every millisecond. */
const BUSY_MS = 2;
const PAUSE_MS = 1;
/** Milliseconds that an error of the network waits for the error of another process that may be its cause. */
const PATIENCE_MS = 2000;

export interface NcclOptions {
  readonly nccl: NcclFunctions;
  readonly group: Pick<ProcessGroup, 'rank' | 'size' | 'onError'>;
  /** Milliseconds after which waiting fails; 0 = never. */
  readonly timeoutMs: number;
}

export class NcclCommunicator {
  readonly #options: NcclOptions;
  /** 0 after its end. */
  #handle: Address;
  #failure: Error | null = null;

  /** Joins the other processes, which do the same with the same id. Throws CommunicationError, or PeerError. */
  static async join(id: Uint8Array, options: NcclOptions): Promise<NcclCommunicator> {
    const { nccl, group } = options;
    const communicator = new NcclCommunicator(nccl.join(id, group.rank, group.size), options);
    await communicator.#untilIdle();
    return communicator;
  }

  private constructor(handle: Address, options: NcclOptions) {
    this.#handle = handle;
    this.#options = options;
    options.group.onError((error) => this.#fail(error));
  }

  /**
   * Sums arrays over all processes, each in place. All processes call this for the same arrays in the same order, one
   * call after the other. Resolves when the sums are queued on the stream. Throws CommunicationError, or PeerError.
   */
  async sum(arrays: readonly DeviceNumbers[], stream: Address): Promise<void> {
    this.#throwFailure();
    await this.#failing(() => this.#options.nccl.sum(this.#handle, arrays, stream));
    await this.#untilIdle();
  }

  /**
   * Resolves when `isDone` returns true, which it does not before the other processes have done the same. Throws
   * CommunicationError, or PeerError; sums that are under way end then, with wrong results.
   */
  async until(isDone: () => boolean): Promise<void> {
    const { nccl, timeoutMs } = this.#options;
    const begin = performance.now();
    for (;;) {
      this.#throwFailure();
      const isOver = await this.#failing(() => nccl.isIdle(this.#handle) && isDone());
      if (isOver) return;
      const waited = performance.now() - begin;
      if (timeoutMs > 0 && waited > timeoutMs) throw this.#fail(timeoutError(waited));
      await (waited < BUSY_MS ? setImmediate() : setTimeout(PAUSE_MS));
    }
  }

  /** Ends the communicator. All processes must call this, unless they end with an error. */
  async close(): Promise<void> {
    if (this.#failure || this.#handle === 0) return;
    const { nccl } = this.#options;
    await this.#failing(() => nccl.finalize(this.#handle));
    await this.#untilIdle();
    nccl.destroy(this.#handle);
    this.#handle = 0;
  }

  #untilIdle(): Promise<void> {
    return this.until(() => true);
  }

  /** Does `work`, whose errors end the communicator. */
  async #failing<T>(work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      if (error instanceof NcclError && error.isRemote) await this.#hearOthers();
      throw this.#fail(error as Error);
    }
  }

  /** Waits for the error of another process. */
  async #hearOthers(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!this.#failure && performance.now() < end) await setTimeout(PAUSE_MS);
  }

  /** Ends the communicator because of an error. Returns the first one. */
  #fail(error: Error): Error {
    if (this.#failure) return this.#failure;
    this.#failure = error;
    if (this.#handle !== 0) this.#options.nccl.abort(this.#handle);
    this.#handle = 0;
    return error;
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }
}

function timeoutError(waitedMs: number): CommunicationError {
  return new CommunicationError(
    `this process waited ${roughDuration(waitedMs / 1000)} for the others (sums of gradients on the GPUs), longer than ` +
      'SOLVER.COLLECTIVE_TIMEOUT allows: one of them hangs, or the network is down',
  );
}

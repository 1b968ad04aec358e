/**
 * @file Drives the operations of MPI that are under way.
 *
 * MPI libraries work on an operation only while one of their functions is called. So this thread asks them again and again, and
 * returns to the event loop in between.
 */
import { performance } from 'node:perf_hooks';
import { CommunicationError } from '../../errors.js';
import { Out } from '../../util/native/native.js';
import { roughDuration } from '../../util/text.js';
import type { Communicator } from '../communicator.js';
import type { MpiFunctions } from './functions.js';

/** Milliseconds without news during which this thread asks in every turn of the event loop. Later it asks every millisecond. */
const BUSY_MS = 2;
const PAUSE_MS = 1;

/** An operation that all processes of a communicator take part in. */
export interface Operation {
  /** What it is called in errors. */
  readonly label: string;
  /** Memory that MPI uses until the operation ends. */
  readonly memory: readonly unknown[];
  readonly communicator: Communicator;
  /** Its place in the order of the communicator's operations. */
  readonly number: number;
}

interface Begun extends Operation {
  readonly request: Out;
  resolve(): void;
  reject(error: Error): void;
}

export class Progress {
  readonly #operations = new Set<Begun>();
  #lastNews = 0;
  #isScheduled = false;
  #isAsking = false;
  #failure: Error | null = null;
  /** Milliseconds after which an operation fails; 0 = never. */
  timeoutMs = 0;

  constructor(
    private readonly mpi: MpiFunctions,
    /** Called now and then while operations are under way. */
    private readonly onTurn: () => void,
    /** Says why an operation may take so long. */
    private readonly explain: (operation: Operation) => Promise<string>,
  ) {}

  /** The reason why operations fail from now on. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Begins an operation: `start` passes the request to MPI. Resolves when it has been completed. Throws
   * CommunicationError, or the reason that `fail` was given.
   */
  run(operation: Operation, start: (request: Out) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin(operation, start, { resolve, reject });
      this.#schedule();
    });
  }

  /**
   * Begins an operation as `run` does, and blocks this thread until it has been completed. Meanwhile this thread asks MPI about the
   * other operations, too.
   */
  runNow(operation: Operation, start: (request: Out) => void): void {
    let outcome: Error | 'done' | null = null;
    this.#begin(operation, start, {
      resolve: () => {
        outcome = 'done';
      },
      reject: (error) => {
        outcome = error;
      },
    });
    const begin = performance.now();
    while (outcome === null) {
      if (performance.now() - this.#lastNews > BUSY_MS) sleep(PAUSE_MS);
      this.#turn();
      const waited = performance.now() - begin;
      if (this.timeoutMs > 0 && waited > this.timeoutMs) this.fail(this.#lateness(operation, waited));
    }
    if (outcome !== 'done') throw outcome;
  }

  #begin(operation: Operation, start: (request: Out) => void, ends: Pick<Begun, 'resolve' | 'reject'>): void {
    if (this.#failure) throw this.#failure;
    const request = new Out();
    start(request);
    this.#lastNews = performance.now();
    this.#operations.add({ ...operation, request, ...ends });
  }

  /** Lets all operations fail, those under way and later ones. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const operation of this.#operations) operation.reject(this.#failure);
    this.#operations.clear();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#operations.size === 0) return;
    this.#isScheduled = true;
    const isBusy = performance.now() - this.#lastNews < BUSY_MS;
    const turn = () => {
      this.#isScheduled = false;
      this.#turn();
      this.#schedule();
    };
    if (isBusy) setImmediate(turn);
    else setTimeout(turn, PAUSE_MS);
  }

  #turn(): void {
    try {
      this.onTurn();
      for (const operation of this.#operations) {
        if (!this.mpi.test(operation.request)) continue;
        this.#operations.delete(operation);
        this.#lastNews = performance.now();
        operation.resolve();
      }
      this.#checkTime();
    } catch (error) {
      this.fail(error as Error);
    }
  }

  #checkTime(): void {
    const waited = performance.now() - this.#lastNews;
    if (this.timeoutMs === 0 || waited < this.timeoutMs || this.#isAsking) return;
    const [oldest] = this.#operations;
    if (oldest) void this.#onLate(oldest, waited);
  }

  /** Lets all operations fail, unless there is news after all. */
  async #onLate(operation: Operation, waited: number): Promise<void> {
    const lastNews = this.#lastNews;
    this.#isAsking = true;
    const why = await this.explain(operation).catch((error: Error) => error.message);
    this.#isAsking = false;
    if (this.#lastNews !== lastNews) return;
    this.fail(this.#lateness(operation, waited, why));
  }

  #lateness({ label }: Operation, waited: number, why = 'their logs may say why'): CommunicationError {
    return new CommunicationError(
      `this process waited ${roughDuration(waited / 1000)} for the others (${label}), longer than ` +
        `SOLVER.COLLECTIVE_TIMEOUT allows: ${why}`,
    );
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Lets this thread sleep. */
function sleep(milliseconds: number): void {
  Atomics.wait(NEVER, 0, 0, milliseconds);
}

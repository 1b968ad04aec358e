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
import type { MpiFunctions } from './functions.js';

/** Milliseconds without news during which this thread asks in every turn of the event loop. Later it asks every millisecond. */
const BUSY_MS = 2;
const PAUSE_MS = 1;

interface Operation {
  readonly request: Out;
  /** What it is called in errors. */
  readonly label: string;
  /** Memory that MPI uses until the operation ends. */
  readonly memory: readonly unknown[];
  resolve(): void;
  reject(error: Error): void;
}

export class Progress {
  readonly #operations = new Set<Operation>();
  #lastNews = 0;
  #isScheduled = false;
  #failure: Error | null = null;
  /** Milliseconds after which an operation fails; 0 = never. */
  timeoutMs = 0;

  constructor(
    private readonly mpi: MpiFunctions,
    /** Called now and then while operations are under way. */
    private readonly onTurn: () => void,
  ) {}

  /** The reason why operations fail from now on. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Begins an operation: `start` passes the request to MPI. Resolves when it has been completed. `memory` is kept until then.
   * Throws CommunicationError, or the reason that `fail` was given.
   */
  run(label: string, memory: readonly unknown[], start: (request: Out) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) throw this.#failure;
      const request = new Out();
      start(request);
      this.#lastNews = performance.now();
      this.#operations.add({ request, label, memory, resolve, reject });
      this.#schedule();
    });
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
    if (this.timeoutMs === 0 || waited < this.timeoutMs) return;
    const [oldest] = this.#operations;
    if (!oldest) return;
    throw new CommunicationError(
      `this process waited ${roughDuration(waited / 1000)} for the others (${oldest.label}), longer than ` +
        'SOLVER.COLLECTIVE_TIMEOUT allows: one of them hangs, or the network is down',
    );
  }
}

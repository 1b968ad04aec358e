/** @file Ctrl-C and its relatives: the first ends the run in order, the second at once. */
import { constants } from 'node:os';
import { HANG_UP_IS_IGNORED } from './hang_up.js';
import { releaseSignal, takeHeldSignal } from './held_signals.js';

/** Signals by which people, shells and batch systems ask a process to end. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGXCPU'] as const;

export type StopSignal = (typeof STOP_SIGNALS)[number];

/**
 * Signals that the system repeats by itself, so that a second one is nobody's wish to end at once: a hang-up comes from the
 * shell and from the system, and SIGXCPU once a second as soon as the limit of `ulimit -t` is reached.
 */
const REPEATED: ReadonlySet<StopSignal> = new Set(['SIGHUP', 'SIGXCPU']);

/** The end of an announcement: a second hang-up changes nothing. */
export function onceMore(signal: StopSignal): string {
  return REPEATED.has(signal) ? '' : '; once more to quit at once';
}

/** For how long a second signal counts as the first one. */
const ECHO_MS = 50;

/**
 * Waits, without a turn of the event loop, for a signal that was sent twice: `timeout` sends its signal to the process and to
 * its group, and npm passes on a Ctrl-C that the terminal has sent to everybody.
 */
function letEchoesArrive(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ECHO_MS);
}

/** Watches for signals that ask the run to end. */
export class StopSignals {
  #received: StopSignal | null = null;
  readonly #abort = new AbortController();
  readonly #listeners = new Map<StopSignal, () => void>();
  #resolve: (value: null) => void = () => {};

  /** Resolves, to null, with the first signal. */
  readonly arrival = new Promise<null>((resolve) => {
    this.#resolve = resolve;
  });

  /** `announce` is called with the first signal. */
  constructor(announce: (signal: StopSignal) => void) {
    for (const signal of STOP_SIGNALS) {
      const listener = () => this.#receive(signal, announce);
      this.#listeners.set(signal, listener);
      process.on(signal, listener);
      if (takeHeldSignal(signal)) queueMicrotask(listener);
    }
  }

  /** Name of the first signal, or null. */
  get name(): StopSignal | null {
    return this.#received;
  }

  get received(): boolean {
    return this.#received !== null;
  }

  /** Aborted by the first signal. */
  readonly signal: AbortSignal = this.#abort.signal;

  /** The exit code that the shell expects, 0 where no signal came. */
  get exitCode(): number {
    return this.#received ? 128 + constants.signals[this.#received] : 0;
  }

  close(): void {
    for (const signal of this.#listeners.keys()) this.#unwatch(signal);
  }

  #receive(signal: StopSignal, announce: (signal: StopSignal) => void): void {
    if (this.received || (signal === 'SIGHUP' && HANG_UP_IS_IGNORED)) return;
    this.#received = signal;
    letEchoesArrive();
    // With the system's own handling back in place the next signal needs no turn of the event loop, which a step of
    // a large model may hold for seconds.
    for (const other of STOP_SIGNALS) {
      if (REPEATED.has(other)) continue;
      this.#unwatch(other);
      releaseSignal(other);
    }
    announce(signal);
    this.#abort.abort();
    this.#resolve(null);
  }

  #unwatch(signal: StopSignal): void {
    const listener = this.#listeners.get(signal);
    if (listener) process.off(signal, listener);
  }
}

/** @file Ctrl-C and similar signals. The first one ends a command in order, the second one at once. */
import { constants } from 'node:os';
import { HANG_UP_IS_IGNORED } from './hang_up.js';
import { releaseSignal, takeHeldSignal } from './held_signals.js';

/** Signals by which people, shells and batch systems ask a process to end. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGXCPU'] as const;

export type StopSignal = (typeof STOP_SIGNALS)[number];

/**
 * Signals that the system repeats by itself, so that a second one does not mean "end at once". Both the shell and the
 * system send SIGHUP. SIGXCPU is sent every second once the limit of `ulimit -t` is reached.
 */
const REPEATED: ReadonlySet<StopSignal> = new Set(['SIGHUP', 'SIGXCPU']);

/** Hint about a second signal, for the end of a message. Empty for signals that the system repeats. */
export function againHint(signal: StopSignal): string {
  return REPEATED.has(signal) ? '' : '; send it again to quit at once';
}

/** Milliseconds during which a second signal counts as an echo of the first. */
const ECHO_MS = 50;

/**
 * Waits, without a turn of the event loop, for a signal that is sent twice. `timeout` sends its signal to the process and to
 * its group. npm forwards a Ctrl-C that the terminal has already sent to the whole group.
 */
function letEchoesArrive(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ECHO_MS);
}

/** Listens for signals that ask a command to end. */
export class StopSignals {
  #received: StopSignal | null = null;
  readonly #listeners = new Map<StopSignal, () => void>();
  readonly #controller = new AbortController();

  /** Aborted by the first signal. The reason is an Error with the text of `describe`. */
  readonly signal: AbortSignal = this.#controller.signal;

  /** `describe` is called with the first signal and returns what the command does about it. */
  constructor(private readonly describe: (signal: StopSignal) => string) {
    for (const signal of STOP_SIGNALS) {
      const listener = () => this.#receive(signal);
      this.#listeners.set(signal, listener);
      process.on(signal, listener);
      if (takeHeldSignal(signal)) queueMicrotask(listener);
    }
  }

  get received(): boolean {
    return this.#received !== null;
  }

  /** Name of the first signal, or null. */
  get name(): StopSignal | null {
    return this.#received;
  }

  /** Exit code that shells expect after the signal, or 0 if there was none. */
  get exitCode(): number {
    return this.#received ? 128 + constants.signals[this.#received] : 0;
  }

  close(): void {
    for (const signal of this.#listeners.keys()) this.#unwatch(signal);
  }

  /** Does what a signal of this name does; another process may have got it. Other names are ignored. */
  receive(name: string): void {
    const signal = STOP_SIGNALS.find((known) => known === name);
    if (signal) this.#receive(signal);
  }

  #receive(signal: StopSignal): void {
    if (this.received || (signal === 'SIGHUP' && HANG_UP_IS_IGNORED)) return;
    this.#received = signal;
    letEchoesArrive();
    // With the system's own handling restored, the next signal needs no turn of the event loop, which a step of a large
    // model may block for seconds.
    for (const other of STOP_SIGNALS) {
      if (REPEATED.has(other)) continue;
      this.#unwatch(other);
      releaseSignal(other);
    }
    this.#controller.abort(new Error(this.describe(signal)));
  }

  #unwatch(signal: StopSignal): void {
    const listener = this.#listeners.get(signal);
    if (listener) process.off(signal, listener);
  }
}

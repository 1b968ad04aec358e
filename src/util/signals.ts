/** @file Ctrl-C and its relatives: the first ends the run in order, the second at once. */
import { HANG_UP_IS_IGNORED } from './hang_up.js';

/** What a shell or a batch system expects of a process that ends on a signal; SIGUSR1 is Slurm's "time is nearly up". */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGUSR1: 0 } as const;

export type StopSignal = keyof typeof EXIT_CODES;

/** The end of an announcement: a second hang-up changes nothing. */
export function onceMore(signal: StopSignal): string {
  return signal === 'SIGHUP' ? '' : '; once more to quit at once';
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
  readonly #listeners = new Map<StopSignal, () => void>();
  #resolve: (value: null) => void = () => {};

  /** Resolves, to null, with the first signal. */
  readonly arrival = new Promise<null>((resolve) => {
    this.#resolve = resolve;
  });

  /** `announce` is called with the first signal. SIGUSR1 is left alone unless it is among `signals`. */
  constructor(
    announce: (signal: StopSignal) => void,
    signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'],
  ) {
    for (const signal of signals) {
      const listener = () => {
        if (this.received || (signal === 'SIGHUP' && HANG_UP_IS_IGNORED)) return;
        this.#received = signal;
        letEchoesArrive();
        // With the system's own handling back in place the next signal needs no turn of the event loop, which a step of
        // a large model may hold for seconds. A hang-up comes twice, from the shell and from the system, and nobody is
        // there any more who would be in a hurry.
        for (const other of signals) if (other !== 'SIGHUP') this.#unwatch(other);
        announce(signal);
        this.#resolve(null);
      };
      this.#listeners.set(signal, listener);
      process.on(signal, listener);
    }
  }

  get received(): boolean {
    return this.#received !== null;
  }

  /** The exit code that the shell expects, 0 where no signal came. */
  get exitCode(): number {
    return this.#received ? EXIT_CODES[this.#received] : 0;
  }

  close(): void {
    for (const signal of this.#listeners.keys()) this.#unwatch(signal);
  }

  #unwatch(signal: StopSignal): void {
    const listener = this.#listeners.get(signal);
    if (listener) process.off(signal, listener);
  }
}

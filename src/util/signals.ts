/** @file Ctrl-C and its relatives: the first ends the run after its step, the second at once. */

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

type Signal = keyof typeof EXIT_CODES;

/** Watches for signals that ask the run to end. */
export class StopSignals {
  #received: Signal | null = null;
  readonly #listeners = new Map<Signal, () => void>();

  /** `announce` is called with the first signal. */
  constructor(announce: (signal: Signal) => void) {
    for (const signal of Object.keys(EXIT_CODES) as Signal[]) {
      const listener = () => {
        if (this.#received) process.exit(EXIT_CODES[signal]);
        this.#received = signal;
        announce(signal);
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
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }
}

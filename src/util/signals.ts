/** @file Ctrl-C and its relatives: the first ends the run in order, the second at once. */

/** What a shell or a batch system expects of a process that ends on a signal; SIGUSR1 is Slurm's "time is nearly up". */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGUSR1: 0 } as const;

export type StopSignal = keyof typeof EXIT_CODES;

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
    signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM'],
  ) {
    for (const signal of signals) {
      const listener = () => {
        // With the system's own handling back in place the next signal needs no turn of the event loop, which a step of
        // a large model may hold for seconds.
        this.close();
        this.#received = signal;
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
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }
}

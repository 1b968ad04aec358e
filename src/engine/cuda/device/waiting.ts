/** @file Waits for a GPU without blocking the event loop. */

/** So long before the expected end the waiting begins to ask all the time, in milliseconds. Timers are late by about one. */
const MARGIN = 1.5;
/** So long it asks all the time at most; then once per millisecond. */
const MAX_POLLING = 5;
/** Number of waits that the expectation is made from. */
const REMEMBERED = 8;

/** The event loop as the waiting uses it; tests replace it. */
export interface Clock {
  now(): number;
  /** Resolves after `milliseconds`, or with 0 after what is due. */
  sleep(milliseconds: number): Promise<void>;
}

const MACHINE_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds) =>
    new Promise((resolve) => {
      if (milliseconds === 0) setImmediate(resolve);
      else setTimeout(resolve, milliseconds);
    }),
};

/**
 * Waits by asking. Steps of a training take about the same time, so it sleeps until shortly before the shortest of the last waits
 * would have ended, and then asks each time the event loop is idle.
 */
export class Waiter {
  readonly #durations: number[] = [];

  constructor(private readonly clock: Clock = MACHINE_CLOCK) {}

  async until(isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    const begin = this.clock.now();
    const expected = this.#durations.length < REMEMBERED ? 0 : Math.min(...this.#durations);
    const sleep = Math.floor(expected - MARGIN);
    if (sleep >= 1) await this.clock.sleep(sleep);
    // Nothing tells how long ago the end was, so the next wait tries half of it.
    if (sleep >= 1 && isDone()) return this.#remember(sleep / 2);
    const pollingBegin = this.clock.now();
    while (!isDone()) await this.clock.sleep(this.clock.now() - pollingBegin < MAX_POLLING ? 0 : 1);
    this.#remember(this.clock.now() - begin);
  }

  #remember(duration: number): void {
    this.#durations.push(duration);
    if (this.#durations.length > REMEMBERED) this.#durations.shift();
  }
}

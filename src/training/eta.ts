/** @file Estimated time to the end of a run. */

/** Steps over which the time of an iteration is averaged. */
const WINDOW = 50;

export class EtaEstimator {
  readonly #recent: number[] = [];
  #steps = 0;

  /** Notes the duration of a step and returns the estimated seconds of `stepsLeft` more. */
  afterStep(seconds: number, stepsLeft: number): number {
    // The first step pays for everything that is made once.
    if (this.#steps++ > 0) this.#recent.push(seconds);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    const { length } = this.#recent;
    const perStep = length ? this.#recent.reduce((sum, value) => sum + value, 0) / length : seconds;
    return perStep * stepsLeft;
  }
}

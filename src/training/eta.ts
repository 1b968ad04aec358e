/** @file Estimated time to the end of a run. */

/** Steps over which the time of an iteration is averaged. */
const WINDOW = 50;

/** A step that takes this many times the median compiled something or waited for something, and will not come again soon. */
const OUTLIER = 3;

export class EtaEstimator {
  readonly #recent: number[] = [];
  #steps = 0;
  #evaluationSeconds: number | null;

  /** `evaluationSeconds` is the time of an earlier evaluation of the same run, or null. */
  constructor(evaluationSeconds: number | null = null) {
    this.#evaluationSeconds = evaluationSeconds;
  }

  /** Notes how long an evaluation took. */
  afterEvaluation(seconds: number): void {
    this.#evaluationSeconds = seconds;
  }

  /**
   * Notes the duration of a step, and returns the estimated seconds of `stepsLeft` more steps and of `evaluationsLeft`
   * evaluations, which count only once one was timed. NaN after the first step, whose time says little because it also
   * compiles and allocates.
   */
  afterStep(seconds: number, stepsLeft: number, evaluationsLeft = 0): number {
    if (this.#steps++ > 0) this.#recent.push(seconds);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    const evaluations = evaluationsLeft * (this.#evaluationSeconds ?? 0);
    return (stepsLeft === 0 ? 0 : stepsLeft * this.#perStep()) + evaluations;
  }

  #perStep(): number {
    const sorted = this.#recent.toSorted((a, b) => a - b);
    const median = sorted[Math.floor((sorted.length - 1) / 2)];
    const usual = sorted.filter((seconds) => seconds <= OUTLIER * median);
    return usual.reduce((sum, seconds) => sum + seconds, 0) / usual.length;
  }
}

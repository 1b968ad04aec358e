/** @file The speed of an engine: its best rates, and what a training step reaches of them. */
import { type StepTime, timeSteps } from './model_step.js';
import { measureRates, type Rates } from './rates.js';

/** The speed of an engine; null where a measurement failed. */
export interface Speed {
  readonly rates: Rates | null;
  readonly step: StepTime | null;
  /** Share of the best rate of matrix products that the step's necessary operations reach. */
  readonly share: number | null;
  /** The exception that ended the measurements, or null. */
  readonly problem: string | null;
}

export async function measureSpeed(): Promise<Speed> {
  let rates: Rates | null = null;
  try {
    rates = await measureRates();
    const best = 1e9 * rates.matMul.rate;
    const step = await timeSteps(best);
    return { rates, step, share: step.flops / step.seconds / best, problem: null };
  } catch (error) {
    return { rates, step: null, share: null, problem: (error as Error).message };
  }
}

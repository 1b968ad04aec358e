/** @file The test lists of a run, opened before hours of training are spent, and when they are evaluated. */
import type { Config } from '../config/index.js';
import { DataError } from '../errors.js';
import { EvaluationSet } from '../evaluation/evaluation_set.js';
import type { Logger } from '../run/log.js';
import { announced } from './announced.js';
import type { ValidationOptions } from './hooks/validation.js';

/** Flags that leave evaluations out. */
export interface EvaluationFlags {
  readonly skipFinalTest?: boolean;
  readonly skipValidation?: boolean;
}

/** Iterations at which SOLVER.EVAL_PERIOD and SOLVER.EVAL_AFTER ask for an evaluation. */
export function validationSchedule({ SOLVER }: Config, flags: EvaluationFlags): ValidationOptions {
  return {
    period: flags.skipValidation ? null : SOLVER.EVAL_PERIOD * SOLVER.ITER_PER_EPOCH,
    after: SOLVER.EVAL_AFTER * SOLVER.ITER_PER_EPOCH,
    finalTest: !flags.skipFinalTest,
  };
}

/** Number of evaluations that are still to come after an iteration. */
export function evaluationsLeft(
  iteration: number,
  maxIterations: number,
  { period, after, finalTest }: ValidationOptions,
): number {
  const upTo = (n: number) =>
    period === null ? 0 : Math.max(0, Math.floor(n / period) - Math.floor(after / period));
  const atEnd = period !== null && maxIterations > after && maxIterations % period === 0;
  return upTo(maxIterations) - upTo(iteration) + (finalTest && !atEnd ? 1 : 0);
}

/** Opens what the evaluations of a run need; null if there will be none. Logs when they will be. Throws DataError. */
export function openEvaluationSet(cfg: Config, flags: EvaluationFlags, log: Logger): EvaluationSet | null {
  const { EVAL_AFTER, EVAL_PERIOD, ITER_PER_EPOCH, MAX_EPOCH } = cfg.SOLVER;
  const first = EVAL_PERIOD * (Math.floor(EVAL_AFTER / EVAL_PERIOD) + 1);
  const validates = !flags.skipValidation && first <= MAX_EPOCH;
  if (!validates && flags.skipFinalTest) return null;
  const evaluationSet = announced(log, 'reading the test lists', () => open(cfg));
  for (const warning of evaluationSet.warnings) log.warn(warning);
  const when = validates
    ? `from iteration ${first * ITER_PER_EPOCH}, every ${EVAL_PERIOD * ITER_PER_EPOCH}`
    : `after iteration ${MAX_EPOCH * ITER_PER_EPOCH}`;
  log.info(`evaluation: ${evaluationSet.dataset.length} key frames, ${when}`);
  for (const note of evaluationSet.notes) log.info(`evaluation: ${note}`);
  return evaluationSet;
}

function open(cfg: Config): EvaluationSet {
  try {
    return new EvaluationSet(cfg);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(
      `${error.message}\n(for the evaluation; --skip-val-in-train and --skip-final-test train without one)`,
      { cause: error },
    );
  }
}

/** @file The outcome of the training steps: what differs from PyTorch, and whether two runs agree. */
import { errorText, limitText } from '../compare.js';
import { type ExpectedSteps, expectedSteps } from './expected.js';
import {
  type Comparison,
  compareSteps,
  isWrong,
  runSteps,
  STEP_TOLERANCES,
  type StepsRun,
} from './run_steps.js';

/** Comparisons of one kind. */
export interface KindOutcome {
  readonly kind: Comparison['kind'];
  readonly count: number;
  readonly tolerance: number;
  /** The largest error. */
  readonly error: number;
}

export interface TrainingOutcome {
  readonly ok: boolean;
  readonly deterministic: boolean;
  readonly torch: string;
  readonly steps: number;
  /** Empty after an exception. */
  readonly kinds: readonly KindOutcome[];
  /** One line for each number that differs, or for an exception. */
  readonly failures: readonly string[];
  readonly seconds: number;
}

/** Steps of the second run, which has gradients and one update. */
const STEPS_AGAIN = 2;

/**
 * Trains a tiny model and compares it with PyTorch's numbers, then repeats the first steps to see whether two runs agree. An
 * exception is a failure.
 */
export async function checkTraining(expected: ExpectedSteps = expectedSteps()): Promise<TrainingOutcome> {
  const start = performance.now();
  const common = { torch: expected.torch, steps: expected.losses.length };
  const seconds = () => (performance.now() - start) / 1000;
  try {
    const run = await runSteps(expected);
    const again = await runSteps(expected, Math.min(STEPS_AGAIN, common.steps));
    const comparisons = compareSteps(run, expected);
    const failures = comparisons
      .filter(isWrong)
      .map(
        ({ name, kind, error }) =>
          `training steps, ${kind}, ${name}: error ${errorText(error)}, ${limitText(STEP_TOLERANCES[kind])} expected`,
      );
    const ok = failures.length === 0;
    const deterministic = textOf(run) === textOf(again);
    return { ...common, ok, deterministic, kinds: kindsOf(comparisons), failures, seconds: seconds() };
  } catch (error) {
    const failures = [`training steps: ${(error as Error).message}`];
    return { ...common, ok: false, deterministic: true, kinds: [], failures, seconds: seconds() };
  }
}

function kindsOf(comparisons: readonly Comparison[]): KindOutcome[] {
  const kinds = Object.keys(STEP_TOLERANCES) as Comparison['kind'][];
  return kinds.map((kind) => {
    const errors = comparisons.filter((comparison) => comparison.kind === kind).map(({ error }) => error);
    return { kind, count: errors.length, tolerance: STEP_TOLERANCES[kind], error: Math.max(...errors) };
  });
}

/** The losses of the first steps, and the gradients. */
function textOf({ losses, gradients }: StepsRun): string {
  return JSON.stringify([
    losses.slice(0, STEPS_AGAIN).map(({ terms, total, gradNorm }) => [...terms.values(), total, gradNorm]),
    [...gradients.values()],
  ]);
}

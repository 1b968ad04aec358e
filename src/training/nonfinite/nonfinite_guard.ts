/** @file Handles steps whose loss or gradients are not finite, as SOLVER.ON_NONFINITE says. */
import type { Batch } from '../../data/loading/collate.js';
import type { Communicator } from '../../distributed/communicator.js';
import type { Logger } from '../../run/log.js';
import type { GuardedLosses, TrainingRun } from '../hook.js';
import type { StepLosses } from '../step.js';
import { describeNonFinite, type NonFinite, NonFiniteError } from './nonfinite.js';
import { batchOfOwner } from './owner.js';
import { saveBatch } from './saved_batch.js';

/** Members of a run that the guard uses. */
export interface GuardedRun extends Pick<TrainingRun, 'cfg' | 'log' | 'state' | 'save'> {
  /** The processes of the step, led by this one; none by default. */
  readonly communicator?: Communicator;
}

/**
 * Computes a step of a run with `step`. If it throws NonFiniteError, its batch is saved and the step is skipped with a
 * warning, or the run ends: the state before the step is saved, and the error names the files.
 */
export async function guardStep(
  run: GuardedRun,
  batch: Batch,
  step: () => Promise<StepLosses>,
): Promise<GuardedLosses> {
  try {
    const losses = await step();
    run.state.nonFiniteInARow = 0;
    return losses;
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    return await handle(error, run, batch);
  }
}

async function handle({ details }: NonFiniteError, run: GuardedRun, batch: Batch): Promise<GuardedLosses> {
  const { cfg, log, state } = run;
  const { ON_NONFINITE, NONFINITE_LIMIT } = cfg.SOLVER;
  const iteration = state.iteration + 1;
  const what = `iteration ${iteration}: ${describeNonFinite(details)}`;
  const bad = await batchOfOwner(details, batch, run.communicator);
  const file = bad && (await attempt(log, 'the batch', () => saveBatchOf(run, details, bad)));
  const inARow = state.nonFiniteInARow + 1;
  if (ON_NONFINITE === 'skip' && inARow < NONFINITE_LIMIT) {
    state.nonFiniteInARow = inARow;
    const saved = file === null ? '' : `; the batch is in ${file}`;
    log.warn(
      { skipped: skippedFields(details) },
      `${what}. Skipped: the weights stay as they were (${inARow} in a row, ${NONFINITE_LIMIT} end the run)${saved}`,
    );
    return { terms: details.terms, total: Number.NaN, gradNorm: Number.NaN, skipped: details };
  }
  const checkpoint = await attempt(log, 'the state before it', () => run.save());
  throw new NonFiniteError(details, message(what, ON_NONFINITE === 'skip' ? inARow : 0, checkpoint, file));
}

function saveBatchOf(
  { cfg, state, communicator }: GuardedRun,
  details: NonFinite,
  batch: Batch,
): Promise<string> {
  const { terms, parameters, microBatch } = details;
  return saveBatch(cfg.OUTPUT_DIR, {
    batch,
    iteration: state.iteration + 1,
    seed: state.seed,
    microBatchSize: cfg.SOLVER.VIDEOS_PER_BATCH / (communicator?.size ?? 1),
    first: microBatch.first,
    terms,
    parameters,
  });
}

/** Returns null on failure: an error of the disk must not hide the error of the step. */
async function attempt(log: Logger, what: string, save: () => Promise<string>): Promise<string | null> {
  try {
    return await save();
  } catch (error) {
    log.warn({ err: error }, `${what} could not be saved: ${(error as Error).message}`);
    return null;
  }
}

/** The details as they stand in metrics.jsonl and log.jsonl, where JSON has no number for what is not finite. */
export function skippedFields({ what, terms, parameters, clips }: NonFinite) {
  return {
    not_finite: what,
    terms: [...terms].flatMap(([name, term]) => (Number.isFinite(term) ? [] : [name])),
    parameters,
    clips: clips.map(({ videoName, second }) => ({ video: videoName, second })),
  };
}

function message(what: string, inARow: number, checkpoint: string | null, file: string | null): string {
  const many =
    inARow > 1
      ? ` It was the last of ${inARow} in a row (SOLVER.NONFINITE_LIMIT), and no weight changed.`
      : '';
  const state = checkpoint === null ? '' : ` The state before it is in ${checkpoint}.`;
  const replay =
    file === null
      ? ''
      : ` The batch is in ${file}; "stmixer train … --replay ${file}" shows where it goes wrong.`;
  return (
    `${what}. The weights were not changed by this step.${many}${state}${replay} A lower SOLVER.BASE_LR, a longer ` +
    'warm-up or SOLVER.CLIP_GRAD_NORM usually helps; SOLVER.ON_NONFINITE skip leaves such batches out.'
  );
}

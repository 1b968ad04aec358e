/** @file What a run does about a loss or gradients that are not finite: SOLVER.ON_NONFINITE. */
import type { Batch } from '../../data/loading/collate.js';
import type { Logger } from '../../run/log.js';
import type { StepLosses } from '../step.js';
import { describeNonFinite, type NonFinite, NonFiniteError } from './nonfinite.js';
import { saveBatch } from './saved_batch.js';

export interface GuardOptions {
  /** Gets the batches. */
  outputDir: string;
  onNonFinite: 'stop' | 'skip';
  /** So many in a row end the run all the same. */
  limit: number;
  seed: number;
  clipsAtOnce: number;
  log: Pick<Logger, 'warn'>;
  /** Saves the state of the run, which has done so many iterations; returns the file's path. */
  saveState(iteration: number): Promise<string>;
}

/** The losses of a step, or why it was left out; losses and norm are NaN then. */
export type GuardedLosses = StepLosses & { readonly skipped?: NonFinite };

export class NonFiniteGuard {
  /** Iterations up to the latest one that were all skipped: part of a run's state. */
  inARow = 0;

  constructor(private readonly options: GuardOptions) {}

  /**
   * Takes an iteration's step. One that throws NonFiniteError has its batch saved and is skipped with a warning, or ends
   * the run: the state before it is saved, and the error names the files.
   */
  async watch(batch: Batch, iteration: number, step: () => Promise<StepLosses>): Promise<GuardedLosses> {
    try {
      const losses = await step();
      this.inARow = 0;
      return losses;
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      return await this.#handle(error, batch, iteration);
    }
  }

  async #handle(error: NonFiniteError, batch: Batch, iteration: number): Promise<GuardedLosses> {
    const { onNonFinite, limit, log } = this.options;
    const { facts } = error;
    const what = `iteration ${iteration}: ${describeNonFinite(facts)}`;
    const file = await this.#attempt('the batch', () => this.#saveBatch(facts, batch, iteration));
    const inARow = this.inARow + 1;
    if (onNonFinite === 'skip' && inARow < limit) {
      this.inARow = inARow;
      const saved = file === null ? '' : `; the batch is in ${file}`;
      log.warn(
        { skipped: skippedFields(facts) },
        `${what}. Skipped: the weights stay as they were (${inARow} in a row, ${limit} end the run)${saved}`,
      );
      return { terms: facts.terms, total: Number.NaN, gradNorm: Number.NaN, skipped: facts };
    }
    const checkpoint = await this.#attempt('the state before it', () =>
      this.options.saveState(iteration - 1),
    );
    throw new NonFiniteError(facts, message(what, onNonFinite === 'skip' ? inARow : 0, checkpoint, file));
  }

  #saveBatch({ terms, parameters, part }: NonFinite, batch: Batch, iteration: number): Promise<string> {
    const { outputDir, seed, clipsAtOnce } = this.options;
    const { first } = part;
    return saveBatch(outputDir, { batch, iteration, seed, clipsAtOnce, first, terms, parameters });
  }

  /** Null where it failed: what the disk says must not hide what happened to the step. */
  async #attempt(what: string, save: () => Promise<string>): Promise<string | null> {
    try {
      return await save();
    } catch (error) {
      this.options.log.warn({ err: error }, `${what} could not be saved: ${(error as Error).message}`);
      return null;
    }
  }
}

/** The facts as they stand in metrics.jsonl and log.jsonl, where JSON has no number for what is not finite. */
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

/** @file Whether a checkpoint holds all that a training needs to go on, and what to do with one that does not. */
import type { LoadedCheckpoint } from '../../checkpoint/checkpoint_parts.js';
import type { LoadPlan } from '../../checkpoint/checkpointer.js';
import { isBuffer } from '../../checkpoint/model_parts.js';
import type { Config } from '../../config/index.js';
import { CheckpointError, ConfigError } from '../../errors.js';
import { isIn } from '../../files/paths.js';
import { unpackRunState } from '../../run/resume_state.js';
import type { Optimizer } from '../../solver/index.js';
import { optimizerGap, parametersWithoutState, scheduleGap } from '../../solver/state_gaps.js';
import { firstNames } from '../../util/text.js';

/** A checkpoint that lacks a part of the training's state. */
export class IncompleteStateError extends CheckpointError {}

/** A part of a training's state that a checkpoint lacks. */
export interface Gap {
  readonly what: string;
  /** Whether a run can go on without it, if the user asks for that. */
  readonly isBridgeable: boolean;
}

/** The official code trains no learnable position table, so its optimizer has no state of it. */
const UNTRAINED_ELSEWHERE = /(^|\.)pos_embed$/;

/** Lists what a checkpoint lacks to go on from; nothing if it is whole. */
export function findGaps(loaded: LoadedCheckpoint, optimizer: Optimizer, adjustLr: boolean): Gap[] {
  const { iteration } = loaded;
  const parts = [optimizerGap(loaded.optimizer), scheduleGap(loaded.scheduler, { positionOnly: adjustLr })];
  if (iteration === null) parts.push('the iteration');
  const gaps = parts.flatMap((what): Gap[] => (what === null ? [] : [{ what, isBridgeable: false }]));
  const missing = loaded.report.missing.filter((name) => !isBuffer(name));
  if (missing.length > 0) {
    gaps.push({
      what: `${missing.length} of the model's weights (${firstNames(missing)})`,
      isBridgeable: true,
    });
  }
  if (parts[0] === null && wasUpdated(loaded)) gaps.push(...stateGaps(loaded, optimizer));
  return gaps;
}

/** Whether a file has no part of a training's state, as files of only weights have not. */
export function holdsOnlyWeights({ optimizer, scheduler, iteration }: LoadedCheckpoint): boolean {
  return optimizer === null && scheduler === null && (iteration ?? 0) === 0;
}

/** No update has been made if every iteration so far was skipped because something was not finite. */
function wasUpdated({ iteration, run }: LoadedCheckpoint): boolean {
  const skipped = unpackRunState(run, iteration).state?.nonFiniteInARow ?? 0;
  return (iteration ?? 0) > skipped;
}

function stateGaps({ optimizer: state, run }: LoadedCheckpoint, optimizer: Optimizer): Gap[] {
  const isExpected = (name: string) => run === null && UNTRAINED_ELSEWHERE.test(name);
  const names = parametersWithoutState(optimizer, state).filter((name) => !isExpected(name));
  if (names.length === 0) return [];
  const all = optimizer.paramGroups.reduce((sum, { params }) => sum + params.length, 0);
  const count = names.length === all ? `all ${all}` : `${names.length} of ${all}`;
  return [
    { what: `the optimizer's state of ${count} parameters (${firstNames(names)})`, isBridgeable: true },
  ];
}

/** The error for a checkpoint with gaps; it names no remedies. */
export function incompleteState({ path, source }: LoadPlan, gaps: readonly Gap[]): IncompleteStateError {
  const what = gaps.map((gap) => gap.what);
  const list = what.length > 1 ? `${what.slice(0, -1).join(', ')} and ${what.at(-1)}` : what[0];
  const place = source === 'MODEL.WEIGHT' ? `MODEL.WEIGHT: ${path}` : path;
  return new IncompleteStateError(
    `${place}: holds only a part of what a training needs to go on: it lacks ${list}`,
  );
}

/** Where and how a user has asked for a checkpoint. */
export interface Situation {
  readonly outputDir: string;
  readonly resume: boolean;
}

/** How to take only the weights of a checkpoint into a new run, for a sentence that begins with "To …,". */
export function weightsOnlyWay(
  { path, source }: Pick<LoadPlan, 'path' | 'source'>,
  { outputDir, resume }: Situation,
): string {
  if (source === 'MODEL.WEIGHT') {
    return isIn(path, outputDir) ? 'add --transfer and choose another OUTPUT_DIR' : 'add --transfer';
  }
  return `use --transfer MODEL.WEIGHT ${path} with another OUTPUT_DIR${resume ? ', without --resume' : ''}`;
}

/** How to use a flag that changes which weights load, which a run that continues does not do. */
export function weightsWithFlag(flag: string, plan: LoadPlan, { outputDir, resume }: Situation): string {
  if (plan.transfer) return flag;
  if (plan.source === 'MODEL.WEIGHT') {
    return isIn(plan.path, outputDir) ? `--transfer ${flag} (with another OUTPUT_DIR)` : `--transfer ${flag}`;
  }
  const without = resume ? ' and without --resume' : '';
  return `--transfer ${flag} MODEL.WEIGHT ${plan.path} (with another OUTPUT_DIR${without})`;
}

/** Throws ConfigError if no iteration is left, unless the run was only started a second time. */
export function refuseNothingToTrain(
  iteration: number,
  source: LoadPlan['source'] | null,
  { cfg, noHead }: { readonly cfg: Config; readonly noHead: boolean },
): void {
  const { SOLVER, MODEL, OUTPUT_DIR } = cfg;
  const all = SOLVER.MAX_EPOCH * SOLVER.ITER_PER_EPOCH;
  if (iteration < all) return;
  if (source === 'MODEL.WEIGHT') {
    const way = weightsOnlyWay({ path: MODEL.WEIGHT, source }, { outputDir: OUTPUT_DIR, resume: false });
    throw new ConfigError(
      `MODEL.WEIGHT: ${MODEL.WEIGHT} is the state of a training after iteration ${iteration}, and this one ends after ` +
        `iteration ${all}: nothing is left to train. To start a new training from its weights, ${way}; to continue that ` +
        'training, use --resume with its OUTPUT_DIR and a larger SOLVER.MAX_EPOCH',
    );
  }
  if (noHead) {
    throw new ConfigError(
      `--no-head: the training in ${OUTPUT_DIR} has done its ${all} iterations, and without its head there is nothing to ` +
        'evaluate. To start a new training from its weights, name its checkpoint in MODEL.WEIGHT, add --transfer and choose ' +
        'another OUTPUT_DIR; to continue it, leave out --no-head and raise SOLVER.MAX_EPOCH',
    );
  }
}

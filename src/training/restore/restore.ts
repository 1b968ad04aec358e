/** @file Between the run in memory and checkpoint files. */
import {
  type Checkpointer,
  type LoadedCheckpoint,
  type LoadPlan,
  type LoadRequest,
  loadCheckpoint,
} from '../../checkpoint/checkpointer.js';
import { isIn } from '../../checkpoint/pointer.js';
import { summarizeReport } from '../../checkpoint/weights.js';
import type { Config } from '../../config/index.js';
import type { SetCriterion } from '../../loss/criterion.js';
import { initializeParameters } from '../../nn/module.js';
import type { LineLog } from '../../run/logger.js';
import { type RunState, unpackRunState } from '../../run/resume_state.js';
import { CLASS_WEIGHTS, type TrainingState } from '../training_state.js';
import { continueTraining } from './continue_training.js';
import { loadFirst } from './load_first.js';
import { holdsOnlyWeights, weightsWithFlag } from './whole_state.js';

export interface RestoreRequest extends Omit<LoadRequest, 'weight'> {
  readonly adjustLr: boolean;
  /** Goes on where the file holds a group of the network only in part, with the rest at random. */
  readonly allowPartial?: boolean;
  /** Null: that of the run which is continued, 0 for a new one. */
  readonly seed: number | null;
}

/** Where a run begins. */
export interface RunStart {
  /** The kind of file that it starts from, or null for random weights. */
  readonly source: LoadPlan['source'] | null;
  /** Note of a run of ours for its continuation, or null. */
  readonly resume: RunState | null;
}

/**
 * Gives every weight its value, from the file that the request points to or freshly drawn, and on resuming restores
 * optimizer, schedule, iteration and seed. A damaged last checkpoint is replaced by the newest whole one. Logs what came
 * from where. Throws CheckpointError.
 */
export function restoreState(
  state: TrainingState,
  { checkpointer, cfg, request, log }: RestoreContext,
): RunStart {
  const load = (plan: LoadPlan) => loadParts(plan, state, cfg, request, log);
  const found = loadFirst(checkpointer, { ...request, weight: cfg.MODEL.WEIGHT }, load, log);
  if (!found) {
    state.seed = request.seed ?? 0;
    log.info(`no weights to load: starting from random ones (seed ${state.seed})`);
    initializeParameters(state.model, state.seed);
    return { source: null, resume: null };
  }
  const { loaded, source } = found;
  const { state: resume, note } = unpackRunState(loaded.run, loaded.iteration);
  if (note) {
    log.warn(
      `its state of the run ${note}; the run goes on with the seed and the order of this command line`,
    );
  }
  state.seed = request.seed ?? resume?.seed ?? 0;
  if (resume && resume.seed !== state.seed) {
    log.warn(`--seed ${state.seed}: the run was made with ${resume.seed}; from here on it is another one`);
  }
  initializeParameters(state.model, state.seed);
  state.iteration = loaded.iteration ?? 0;
  state.nonFiniteInARow = resume?.nonFiniteInARow ?? 0;
  logStart(state, source, { cfg, request, log });
  return { source, resume };
}

export interface RestoreContext {
  readonly checkpointer: Checkpointer;
  readonly cfg: Config;
  readonly request: RestoreRequest;
  readonly log: LineLog;
}

function logStart(
  { iteration, seed }: TrainingState,
  source: LoadPlan['source'],
  { cfg, request, log }: Pick<RestoreContext, 'cfg' | 'request' | 'log'>,
): void {
  if (iteration === 0) return;
  if (request.noHead && !request.resume) {
    log.warn(
      `--no-head without --transfer: the training goes on after iteration ${iteration}, with a head that starts at random`,
    );
  }
  log.info(`continuing after iteration ${iteration} (seed ${seed})${reminder(source, cfg)}`);
}

/** A file of another training is continued as well, which is easily done by mistake. */
function reminder(source: LoadPlan['source'], { MODEL, OUTPUT_DIR }: Config): string {
  if (source !== 'MODEL.WEIGHT') return '';
  const place = isIn(MODEL.WEIGHT, OUTPUT_DIR) ? ', in another OUTPUT_DIR,' : '';
  return `; with --transfer a new training starts${place} from the weights in MODEL.WEIGHT`;
}

function loadParts(
  plan: LoadPlan,
  state: TrainingState,
  cfg: Config,
  request: RestoreRequest,
  log: LineLog,
): LoadedCheckpoint {
  const { model, criterion } = state;
  const { resume, allowPartial = false } = request;
  if (plan.note !== undefined) log.info(plan.note);
  if (plan.warning !== undefined) log.warn(plan.warning);
  log.info(`loading ${plan.path} (${plan.source})`);
  const parameters = new Map(model.namedParameters());
  const shapes = new Map<string, { shape: readonly number[] }>(parameters);
  shapes.set(CLASS_WEIGHTS, { shape: [criterion.classWeights.length] });
  const coverage = allowPartial ? 'any' : 'whole groups';
  const withFlag = (flag: string) => weightsWithFlag(flag, plan, { outputDir: cfg.OUTPUT_DIR, resume });
  const loaded = loadCheckpoint({ ...plan, coverage, withFlag }, shapes, (name, data) => {
    if (name === CLASS_WEIGHTS) setClassWeights(criterion, data, log);
    else parameters.get(name)?.set(data);
  });
  log.info(summarizeReport(plan.path, loaded.report));
  if (loaded.misfit) {
    const consequence = '--allow-partial: training goes on with what loads, and the rest at random';
    log.warn(`${plan.path}: ${loaded.misfit}\n${consequence}`);
  }
  if (plan.transfer || (plan.source === 'MODEL.WEIGHT' && holdsOnlyWeights(loaded))) return loaded;
  continueTraining(loaded, state, { ...request, plan, cfg, log });
  return loaded;
}

/** PyTorch restores this buffer with the weights, so the file wins over BACKGROUND_WEIGHT there, and here. */
function setClassWeights(criterion: SetCriterion, data: Float32Array, log: LineLog): void {
  if (data.some((weight, i) => weight !== criterion.classWeights[i])) {
    log.warn(
      `class weights are [${data.join(', ')}] from the checkpoint; ` +
        `MODEL.STM.BACKGROUND_WEIGHT asks for [${criterion.classWeights.join(', ')}]`,
    );
  }
  criterion.classWeights.set(data);
}

/**
 * Makes `last_checkpoint` name the file that the run starts from if it goes back to an earlier checkpoint of its folder:
 * then it is resumed from there, also if it is killed before it saves anything. Throws CheckpointError if the disk refuses.
 */
export async function pointToStart(
  source: LoadPlan['source'] | null,
  iteration: number,
  { checkpointer, cfg }: Pick<RestoreContext, 'checkpointer' | 'cfg'>,
): Promise<void> {
  const { MODEL, OUTPUT_DIR } = cfg;
  const isOwn = source === 'MODEL.WEIGHT' && iteration > 0 && isIn(MODEL.WEIGHT, OUTPUT_DIR);
  if (isOwn) await checkpointer.pointTo(MODEL.WEIGHT);
}

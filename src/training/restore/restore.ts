/** @file Restores a training from a checkpoint file, or starts it with random weights. */
import { type LoadedCheckpoint, loadCheckpoint } from '../../checkpoint/checkpoint_parts.js';
import type { Checkpointer, LoadPlan, LoadRequest } from '../../checkpoint/checkpointer.js';
import type { ModelInfo } from '../../checkpoint/model_info.js';
import { summarizeReport } from '../../checkpoint/weights.js';
import type { Config } from '../../config/index.js';
import { isIn } from '../../files/paths.js';
import type { SetCriterion } from '../../loss/criterion.js';
import { initializeParameters } from '../../nn/module.js';
import { type RunState, unpackRunState } from '../../run/resume_state.js';
import type { Log } from '../../util/log.js';
import { CLASS_WEIGHTS, type TrainingState } from '../training_state.js';
import { continueTraining } from './continue_training.js';
import { loadFirst } from './load_first.js';
import { holdsOnlyWeights, weightsOnlyWay, weightsWithFlag } from './whole_state.js';

export interface RestoreRequest extends Omit<LoadRequest, 'weight' | 'weightKey'> {
  readonly adjustLr: boolean;
  /** Accepts a file that holds only a part of the weights or of the state; the rest starts at random. */
  readonly allowPartial?: boolean;
  /** Null takes the seed of the run that continues, or 0 for a new run. */
  readonly seed: number | null;
}

/** The start of a run. */
export interface RunStart {
  /** The kind of file that it starts from, or null for random weights. */
  readonly source: LoadPlan['source'] | null;
  /** The state of the run in the file; null if the file has none, as those of the official code. */
  readonly resume: RunState | null;
}

/**
 * Sets every weight, from the file that the request points to or at random. A run that continues also gets its optimizer,
 * schedule, iteration and seed back. If the last checkpoint is damaged, the newest complete one replaces it. Logs the origin
 * of everything. Throws CheckpointError.
 */
export function restoreState(
  state: TrainingState,
  { checkpointer, cfg, request, log }: RestoreContext,
): RunStart {
  const found = loadFirst({
    checkpointer,
    request: { ...request, weight: cfg.MODEL.WEIGHT, weightKey: cfg.MODEL.WEIGHT_KEY },
    load: (plan) => loadParts(plan, state, { cfg, request, log }),
    log,
  });
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
  const { PRECISION } = cfg.ENGINE;
  if (resume && resume.precision !== PRECISION) {
    log.warn(
      `ENGINE.PRECISION ${PRECISION}: the run was made with ${resume.precision}; from here on it is another one`,
    );
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
  readonly log: Log;
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

/** Names --transfer if the run continues another training from MODEL.WEIGHT, which is often a mistake. */
function reminder(source: LoadPlan['source'], { MODEL, OUTPUT_DIR }: Config): string {
  if (source !== 'MODEL.WEIGHT') return '';
  const place = isIn(MODEL.WEIGHT, OUTPUT_DIR) ? ', in another OUTPUT_DIR,' : '';
  return `; with --transfer a new training starts${place} from the weights in MODEL.WEIGHT`;
}

/** Loads the file of a plan into the training. Throws CheckpointError. */
function loadParts(
  plan: LoadPlan,
  state: TrainingState,
  { cfg, request, log }: Pick<RestoreContext, 'cfg' | 'request' | 'log'>,
): LoadedCheckpoint {
  const { model, criterion } = state;
  const { resume, allowPartial = false } = request;
  if (plan.note !== undefined) log.info(plan.note);
  if (plan.warning !== undefined) log.warn(plan.warning);
  log.info(`loading ${plan.path} (${plan.source})`);
  const entries = new Map(model.namedState());
  const shapes = new Map<string, { shape: readonly number[] }>(entries);
  shapes.set(CLASS_WEIGHTS, { shape: [criterion.classWeights.length] });
  const coverage = allowPartial ? 'any' : 'whole groups';
  const situation = { outputDir: cfg.OUTPUT_DIR, resume };
  const advice = {
    withFlag: (flag: string) => weightsWithFlag(flag, plan, situation),
    weightsOnlyWay: weightsOnlyWay(plan, situation),
  };
  const loaded = loadCheckpoint({ ...plan, coverage, ...advice }, shapes, (name, data) => {
    if (name === CLASS_WEIGHTS) setClassWeights(criterion, data, log);
    else entries.get(name)?.set(data);
  });
  log.info(summarizeReport(plan.path, loaded.report));
  if (loaded.averages !== null) log.info(`${plan.path}: ${loaded.averages}`);
  for (const warning of loaded.warnings) log.warn(`${plan.path}: ${warning}`);
  state.info = withNamesOf(state.info, loaded.info);
  if (loaded.misfit) {
    const consequence = '--allow-partial: training goes on with what loads, and the rest at random';
    log.warn(`${plan.path}: ${loaded.misfit}\n${consequence}`);
  }
  if (plan.transfer || (plan.source === 'MODEL.WEIGHT' && holdsOnlyWeights(loaded))) return loaded;
  continueTraining(loaded, state, { ...request, plan, cfg, log });
  return loaded;
}

/** Takes over the class names of the weights if there is no label map and the number of classes is the same. */
function withNamesOf(info: ModelInfo, loaded: ModelInfo | null): ModelInfo {
  const CLASSES = 'MODEL.STM.ACTION_CLASSES';
  if (info.classNames !== null || !loaded) return info;
  const isSame = loaded.settings.get(CLASSES) === info.settings.get(CLASSES);
  return isSame ? { ...info, classNames: loaded.classNames } : info;
}

/** Relative error of rounding to half precision. */
const HALF_ROUNDING = 2 ** -11;

/** Takes the class weights of the file instead of BACKGROUND_WEIGHT, as PyTorch does with a buffer. */
function setClassWeights(criterion: SetCriterion, data: Float32Array, log: Log): void {
  // A file in half precision holds the same weights, rounded.
  const differs = (weight: number, i: number) =>
    Math.abs(weight - criterion.classWeights[i]) > HALF_ROUNDING * weight;
  if (data.some(differs)) {
    log.warn(
      `class weights are [${data.join(', ')}] from the checkpoint; ` +
        `MODEL.STM.BACKGROUND_WEIGHT asks for [${criterion.classWeights.join(', ')}]`,
    );
  }
  criterion.classWeights.set(data);
}

/**
 * Makes `last_checkpoint` name the file that the run starts from, if that is an earlier checkpoint of its own folder. A run
 * that is killed before its first save then resumes from there. Throws CheckpointError if the disk refuses.
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

/** @file Between the run in memory and checkpoint files. */
import {
  type CheckpointParts,
  type LoadedCheckpoint,
  loadCheckpoint,
} from '../../checkpoint/checkpoint_parts.js';
import type { Checkpointer, LoadPlan, LoadRequest } from '../../checkpoint/checkpointer.js';
import { summarizeReport } from '../../checkpoint/weights.js';
import type { Config } from '../../config/index.js';
import { hostTensor } from '../../engine/to_host.js';
import { isIn } from '../../files/paths.js';
import { float32Tensor, type HostTensor } from '../../formats/host_tensor.js';
import type { PyValue } from '../../formats/python/values.js';
import type { SetCriterion } from '../../loss/criterion.js';
import { initializeParameters } from '../../nn/module.js';
import type { LineLog } from '../../run/log.js';
import { type RunState, unpackRunState } from '../../run/resume_state.js';
import type { TrainingState } from '../loop.js';
import { continueTraining } from './continue_training.js';
import { loadFirst } from './load_first.js';
import { holdsOnlyWeights, weightsWithFlag } from './whole_state.js';

/** The only buffer of the PyTorch model; it stands last in its state dict. */
const CLASS_WEIGHTS = 'stm_head.criterion.empty_weight';

/** The model's state dict, in PyTorch's order; each weight is read from the engine when its bytes are asked for. */
export function modelState({ model, criterion }: TrainingState): Map<string, HostTensor> {
  const state = new Map<string, HostTensor>();
  for (const [name, { shape, value }] of model.namedParameters()) state.set(name, hostTensor(value, shape));
  state.set(CLASS_WEIGHTS, float32Tensor([criterion.classWeights.length], criterion.classWeights));
  return state;
}

/** What a checkpoint of the run holds after `iteration` steps; `run` is what only our own runs need. */
export function checkpointParts(state: TrainingState, iteration: number, run?: PyValue): CheckpointParts {
  return {
    model: modelState(state),
    optimizer: state.optimizer.stateDict(),
    scheduler: state.scheduler.stateDict(),
    iteration,
    run,
  };
}

export interface RestoreRequest extends Omit<LoadRequest, 'weight'> {
  readonly adjustLr: boolean;
  /** Goes on where the file holds a group of the network only in part, with the rest at random. */
  readonly allowPartial?: boolean;
  /** Null: that of the run which is continued, 0 for a new one. */
  readonly seed: number | null;
}

/** Where a run begins. */
export interface RunStart {
  /** Steps that are done already. */
  readonly iteration: number;
  readonly seed: number;
  readonly source: LoadPlan['source'] | null;
  /** What a run of ours had noted for its continuation. */
  readonly run: RunState | null;
}

/**
 * Gives every weight its value, from the file that the settings point to or freshly drawn, and on resuming restores
 * optimizer and schedule. A last checkpoint that is damaged is replaced by the newest one that is not. Logs what came
 * from where.
 */
export function restoreState(
  checkpointer: Checkpointer,
  state: TrainingState,
  cfg: Config,
  request: RestoreRequest,
  log: LineLog,
): RunStart {
  const { model } = state;
  const load = (plan: LoadPlan) => loadParts(plan, state, cfg, request, log);
  const found = loadFirst(checkpointer, { ...request, weight: cfg.MODEL.WEIGHT }, load, log);
  if (!found) {
    const seed = request.seed ?? 0;
    log.info(`no weights to load: starting from random ones (seed ${seed})`);
    initializeParameters(model, seed);
    return { iteration: 0, seed, source: null, run: null };
  }
  const { loaded, source } = found;
  const { state: run, note } = unpackRunState(loaded.run, loaded.iteration);
  if (note)
    log.warn(
      `its state of the run ${note}; the run goes on with the seed and the order of this command line`,
    );
  const seed = request.seed ?? run?.seed ?? 0;
  if (run && run.seed !== seed)
    log.warn(`--seed ${seed}: the run was made with ${run.seed}; from here on it is another one`);
  initializeParameters(model, seed);
  const iteration = loaded.iteration ?? 0;
  if (iteration > 0 && request.noHead && !request.resume) {
    log.warn(
      `--no-head without --transfer: the training goes on after iteration ${iteration}, with a head that starts at random`,
    );
  }
  if (iteration > 0)
    log.info(`continuing after iteration ${iteration} (seed ${seed})${reminder(source, cfg)}`);
  return { iteration, seed, source, run };
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

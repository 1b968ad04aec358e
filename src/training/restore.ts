/** @file Between the run in memory and checkpoint files. */
import {
  type Checkpointer,
  type CheckpointParts,
  type LoadRequest,
  loadCheckpoint,
} from '../checkpoint/checkpointer.js';
import { summarizeReport } from '../checkpoint/weights.js';
import type { Config } from '../config/index.js';
import type { SetCriterion } from '../loss/criterion.js';
import { initializeParameters } from '../nn/module.js';
import { describeDifference, lrScaleWarning } from '../solver/index.js';
import { float32Tensor, type HostTensor } from '../util/host_tensor.js';
import type { LineLog } from './logger.js';
import type { TrainingState } from './loop.js';

/** The only buffer of the PyTorch model; it stands last in its state dict. */
const CLASS_WEIGHTS = 'stm_head.criterion.empty_weight';

/** The model's state dict, in PyTorch's order; each weight is read from the engine when its bytes are asked for. */
export function modelState({ model, criterion }: TrainingState): Map<string, HostTensor> {
  const state = new Map<string, HostTensor>();
  for (const [name, { shape, value }] of model.namedParameters()) {
    const bytes = () => {
      const data = value.dataSync() as Float32Array;
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    };
    state.set(name, { dtype: 'float32', shape, bytes });
  }
  state.set(CLASS_WEIGHTS, float32Tensor([criterion.classWeights.length], criterion.classWeights));
  return state;
}

/** What a checkpoint of the run holds after `iteration` steps. */
export function checkpointParts(state: TrainingState, iteration: number): CheckpointParts {
  return {
    model: modelState(state),
    optimizer: state.optimizer.stateDict(),
    scheduler: state.scheduler.stateDict(),
    iteration,
  };
}

/**
 * Gives every weight its value, from the file that the settings point to or freshly drawn, and on resuming restores
 * optimizer and schedule. Returns the number of iterations already done. Logs what came from where.
 */
export function restoreState(
  checkpointer: Checkpointer,
  state: TrainingState,
  cfg: Config,
  request: Omit<LoadRequest, 'weight'> & { adjustLr: boolean; seed: number },
  log: LineLog,
): number {
  const { model, criterion, optimizer, scheduler } = state;
  const plan = checkpointer.resolve({ ...request, weight: cfg.MODEL.WEIGHT });
  if (!plan) {
    log.info(`no weights to load: starting from random ones (seed ${request.seed})`);
    initializeParameters(model, request.seed);
    return 0;
  }
  log.info(`loading ${plan.path} (${plan.source})`);
  const parameters = new Map(model.namedParameters());
  const shapes = new Map<string, { shape: readonly number[] }>(parameters);
  shapes.set(CLASS_WEIGHTS, { shape: [criterion.classWeights.length] });
  const loaded = loadCheckpoint(plan, shapes, (name, data) => {
    if (name === CLASS_WEIGHTS) setClassWeights(criterion, data, log);
    else parameters.get(name)?.set(data);
  });
  log.info(summarizeReport(plan.path, loaded.report));
  initializeParameters(model, request.seed);

  if (loaded.optimizer !== null) {
    const warning = lrScaleWarning(cfg, loaded.optimizer);
    if (warning) log.warn(warning);
    for (const difference of optimizer.loadStateDict(loaded.optimizer))
      log.warn(describeDifference(difference));
  }
  if (loaded.scheduler !== null) {
    if (request.adjustLr) scheduler.adoptPosition(loaded.scheduler);
    else
      for (const difference of scheduler.loadStateDict(loaded.scheduler))
        log.warn(describeDifference(difference));
  }
  const iteration = loaded.iteration ?? 0;
  if (iteration > 0) log.info(`continuing after iteration ${iteration}`);
  return iteration;
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

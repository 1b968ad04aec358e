/** @file The state of a training: everything that a step changes, and that resuming needs. */
import type { CheckpointParts } from '../checkpoint/checkpoint_parts.js';
import { infoOfModel } from '../checkpoint/info_of_model.js';
import { type ModelInfo, packModelInfo } from '../checkpoint/model_info.js';
import { modelState } from '../checkpoint/model_state.js';
import type { Config, Precision } from '../config/index.js';
import type { SamplerPosition } from '../data/loading/sampler.js';
import { float32Tensor, type HostTensor } from '../formats/host_tensor.js';
import { SetCriterion } from '../loss/criterion.js';
import { Detector } from '../model/detector.js';
import { packRunState } from '../run/resume_state.js';
import { type LrSchedule, makeLrScheduler, makeOptimizer, type Optimizer } from '../solver/index.js';
import type { Log } from '../util/log.js';

/** Name of the only buffer of the PyTorch model; it comes last in the state dict. */
export const CLASS_WEIGHTS = 'stm_head.criterion.empty_weight';

/** The order in which the clips of a training come. */
export interface DataOrder {
  /** Position in that order after so many iterations. */
  positionOf(iteration: number): SamplerPosition;
  /** A number that differs for other clips or batches, for which the order would mean nothing. */
  readonly identity: number;
}

export class TrainingState {
  /** Steps done, those before a resume included. */
  iteration = 0;
  /** Seed of every random choice: initial weights, data order, augmentation, dropout. */
  seed = 0;
  /** How products are computed. */
  precision: Precision = 'float32';
  /** Consecutive iterations up to this one that were skipped for values that are not finite. */
  nonFiniteInARow = 0;
  /** Null until the training data is open; checkpoints hold no position then. */
  order: DataOrder | null = null;
  /** What checkpoints say about the model. */
  info: ModelInfo;

  constructor(
    readonly model: Detector,
    /** Part of the state for its class weights, a buffer in PyTorch's state dict. */
    readonly criterion: SetCriterion,
    readonly optimizer: Optimizer,
    readonly scheduler: LrSchedule,
  ) {
    this.info = infoOfModel(model.config);
  }

  /**
   * Builds the model, its loss, optimizer and schedule. The weights have no values yet: see `initializeParameters` and
   * `restoreState`. `log` gets one line per parameter group.
   */
  static build(cfg: Config, log?: Pick<Log, 'info'>): TrainingState {
    const model = new Detector(cfg);
    const optimizer = makeOptimizer(cfg, model, log);
    const criterion = new SetCriterion(cfg.MODEL.STM);
    const state = new TrainingState(model, criterion, optimizer, makeLrScheduler(cfg, optimizer));
    state.precision = cfg.ENGINE.PRECISION;
    return state;
  }

  /** The model's state dict in PyTorch's order. A weight is read from the engine when its bytes are asked for. */
  modelState(): Map<string, HostTensor> {
    const state = modelState(this.model);
    const { classWeights } = this.criterion;
    state.set(CLASS_WEIGHTS, float32Tensor([classWeights.length], classWeights));
    return state;
  }

  /** Content of a checkpoint: PyTorch's parts, and what only a run of ours needs to go on exactly. */
  checkpoint(): CheckpointParts {
    const { optimizer, scheduler, iteration, seed, precision, nonFiniteInARow, order, info } = this;
    return {
      model: this.modelState(),
      optimizer: optimizer.stateDict(),
      scheduler: scheduler.stateDict(),
      iteration,
      run:
        order === null
          ? undefined
          : packRunState({
              iteration,
              seed,
              precision,
              nonFiniteInARow,
              position: order.positionOf(iteration),
              data: order.identity,
            }),
      info: packModelInfo(info),
    };
  }
}

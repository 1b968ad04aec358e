/**
 * @file The library: what a program can import from 'stmixer'.
 *
 * docs/library.md shows how the pieces go together, examples/ has whole programs.
 */

/** tfjs itself; a second copy in a program would have engines and tensors of its own. */
export * as tf from '@tensorflow/tfjs';
// Model, loss and weights
export { loadModelWeights, saveModelWeights, type WeightsOrigin } from './checkpoint/model_weights.js';
// Configuration
export {
  type Config,
  type ConfigValues,
  defineConfig,
  type LoadedConfig,
  loadConfig,
} from './config/index.js';

// Data
export type { ClipInfo } from './data/clip/clip.js';
export { AvaDataset } from './data/datasets/ava_dataset.js';
export type { Batch } from './data/loading/collate.js';
export { type BatchLoader, createTestLoader, createTrainLoader } from './data/loading/loader.js';
export { type DetectSummary, detect } from './detect/detect.js';
export type { DetectOptions } from './detect/options.js';
export type { KeyFrameResult } from './detect/result_files.js';
export type { Communicator, Numbers, ReduceOp } from './distributed/communicator.js';
// Evaluation, detection, reports
export { joinProcesses } from './distributed/join.js';
export type { LocalPlace, ProcessGroup } from './distributed/process_group.js';
export { drawBoxes } from './drawing/draw_boxes.js';
export type { DrawnBox } from './drawing/types.js';
// Engine
export {
  type DeviceName,
  type Engine,
  type EngineInfo,
  type EngineName,
  type EngineRequest,
  selectEngine,
} from './engine/index.js';
// Logs, random numbers, errors
export {
  CheckpointError,
  ConfigError,
  DataError,
  EngineError,
  OutOfMemoryError,
  UserError,
} from './errors.js';
export { type EvaluationFiles, evaluateFiles, type FileResults } from './evaluation/evaluate_files.js';
export { type EvaluationRun, EvaluationSet } from './evaluation/evaluation_set.js';
export type { FoundPerson } from './evaluation/people.js';
export type { AvaResults, ClassResult, EvaluationReport } from './evaluation/types.js';
// Files of weights
export type { DType, HostTensor } from './formats/host_tensor.js';
export { readPth } from './formats/pth/pth_reader.js';
export { writePth } from './formats/pth/pth_writer.js';
export type { PyValue } from './formats/python/values.js';
export { readSafetensors } from './formats/safetensors/safetensors_reader.js';
export { type Losses, type Prediction, SetCriterion, type Target } from './loss/criterion.js';
export { Detector } from './model/detector.js';
export { type Detections, toDetections } from './model/inference.js';
export { initializeParameters, Module, Parameter } from './nn/module.js';
export { type ReportOptions, type WrittenReport, writeReport } from './report/write.js';
export { type Console, type Logger, RunLog } from './run/log.js';
// Optimizers and schedules
export {
  Adam,
  type AdamOptions,
  AdamW,
  getParameterGroups,
  HalfPeriodCosStepLR,
  LrSchedule,
  makeLrScheduler,
  makeOptimizer,
  Optimizer,
  type OptimizerParams,
  type ParamGroup,
  SGD,
  type SgdOptions,
  WarmupMultiStepLR,
} from './solver/index.js';
export { evaluateCheckpoint, type TestOptions } from './training/evaluate_checkpoint.js';
// Training
export type { Hook, StepReport, TrainingRun } from './training/hook.js';
export { NonFiniteError } from './training/nonfinite/nonfinite.js';
export { type FollowOptions, followTraining } from './training/processes/follow.js';
export {
  computeGradients,
  type GradientOptions,
  type StepLosses,
  type StepOptions,
  stepRng,
  trainStep,
} from './training/step.js';
export { type TrainOptions, train } from './training/train.js';
export { Trainer, type TrainerOptions, type TrainingResult } from './training/trainer.js';
export type { TrainingData } from './training/training_data.js';
export { TrainingState } from './training/training_state.js';
export type { Log, ProgressReporter, Reporter } from './util/log.js';
export { Rng } from './util/random.js';

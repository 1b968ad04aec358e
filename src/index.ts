/** @file What the package offers to programs; the command line is the other way in. */

export { type Config, defaultConfig, type LoadedConfig, loadConfig } from './config/index.js';
export type { Batch } from './data/loading/collate.js';
export { type BatchLoader, createTestLoader, createTrainLoader } from './data/loading/loader.js';
export { type DetectSummary, detect } from './detect/detect.js';
export type { DetectOptions } from './detect/options.js';
export { drawBoxes } from './drawing/draw_boxes.js';
export type { DrawnBox } from './drawing/types.js';
export { type Engine, type EngineInfo, type EngineRequest, selectEngine } from './engine/index.js';
export { CheckpointError, ConfigError, DataError, EngineError, UserError } from './errors.js';
export { readPth } from './formats/pth/pth_reader.js';
export { writePth } from './formats/pth/pth_writer.js';
export { readSafetensors } from './formats/safetensors/safetensors_reader.js';
export { SetCriterion } from './loss/criterion.js';
export { Detector } from './model/detector.js';
export { type Detections, toDetections } from './model/inference.js';
export { getNumLayerForVit } from './model/vit.js';
export { initializeParameters, Module, Parameter } from './nn/module.js';
export { type ReportOptions, type WrittenReport, writeReport } from './report/write.js';
export {
  getParameterGroups,
  HalfPeriodCosStepLR,
  LayerDecayValueAssigner,
  makeLrScheduler,
  makeOptimizer,
  WarmupMultiStepLR,
} from './solver/index.js';
export { computeGradients } from './training/step.js';
export { type TrainOptions, train } from './training/train.js';
export type { Log, ProgressReporter, Reporter } from './util/log.js';
export { Rng } from './util/random.js';

/** @file Parameter groups, optimizers and learning rate schedules. */
export { Adam, type AdamOptions, type AdamSettings } from './adam.js';
export { AdamW } from './adamw.js';
export { HalfPeriodCosStepLR } from './half_period_cos_step_lr.js';
export { LayerDecayValueAssigner } from './layer_decay.js';
export { lrScaleWarning } from './lr_scale_warning.js';
export { LrSchedule } from './lr_schedule.js';
export { makeLrScheduler } from './make_lr_scheduler.js';
export { layerScalesOf, makeOptimizer } from './make_optimizer.js';
export { Optimizer } from './optimizer.js';
export type { ParamGroup } from './optimizer_view.js';
export {
  getParameterGroups,
  type NamedParameter,
  type OptimizerParams,
  type ParameterGroup,
} from './param_groups.js';
export { describeDifference, type SettingDifference } from './setting_differences.js';
export { SGD, type SgdOptions, type SgdSettings } from './sgd.js';
export type { SolverConfig } from './solver_config.js';
export { WarmupMultiStepLR } from './warmup_multi_step_lr.js';

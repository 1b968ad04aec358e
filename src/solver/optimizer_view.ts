/** @file An optimizer as its state dict sees it: parameter groups, settings, and the state of each parameter. */
import type * as tf from '@tensorflow/tfjs';
import type { PyValue } from '../formats/python/values.js';
import type { Parameter } from '../nn/module.js';
import type { NamedParameter } from './param_groups.js';

/** Settings that every optimizer's groups have; their names are PyTorch's. */
export interface GroupSettings {
  /** The schedule's learning rate, without `lr_scale`. */
  lr: number;
  weight_decay: number;
}

/** A group's name, parameters and schedule entries. */
export interface GroupIdentity {
  readonly name: string;
  readonly params: readonly NamedParameter[];
  /** Factor of `lr` at the step; absent = 1. */
  lr_scale?: number;
  /** Learning rate that the schedule starts from; the schedule sets it. */
  initial_lr?: number;
  /** Entries of a loaded state dict that mean nothing here; saved again as they are. */
  extra: ReadonlyMap<string, PyValue>;
}

export type ParamGroup<S extends GroupSettings = GroupSettings> = S & GroupIdentity;

/** The state that an optimizer keeps of one parameter. */
export interface ParameterState {
  /** Updates so far. */
  steps: number;
  /** Tensors of the parameter's shape, by PyTorch's names. */
  buffers: Readonly<Record<string, tf.Tensor>>;
}

export interface OptimizerView<S extends GroupSettings = GroupSettings> {
  /** The optimizer's name in SOLVER.OPTIMIZING_METHOD. */
  readonly method: string;
  readonly paramGroups: readonly ParamGroup<S>[];
  readonly defaults: S;
  /** Entries that PyTorch keeps in each group and that have one value here. */
  readonly fixedSettings: Readonly<Record<string, boolean | null>>;
  /** Tensors of a parameter's state, by PyTorch's names. */
  readonly bufferNames: readonly string[];
  /** Whether a state without these tensors is broken, and counts its steps. */
  readonly countsSteps: boolean;
  /** Whether `lr_scale` is multiplied in at the step. */
  readonly applyLrScale: boolean;
  /** Whether a parameter keeps a state from step to step, by the saved settings of its group. */
  keepsState(fileGroup: ReadonlyMap<PyValue, PyValue>): boolean;
  /** A parameter's state; valid until the next step. */
  stateOf(parameter: Parameter): ParameterState | undefined;
}

/** @file The part of an optimizer that its state dict is made from: groups, settings and the state of each parameter. */
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
  /** Factor of `lr` at a step; 1 if absent. */
  lr_scale?: number;
  /** Learning rate that the schedule starts from; the schedule sets it. */
  initial_lr?: number;
  /** Entries of a loaded state dict without a meaning here; they are saved again unchanged. */
  extra: ReadonlyMap<string, PyValue>;
}

export type ParamGroup<S extends GroupSettings = GroupSettings> = S & GroupIdentity;

/** The state of one parameter. */
export interface ParameterState {
  /** Updates so far. */
  steps: number;
  /** Tensors of the parameter's shape, by PyTorch's names. */
  buffers: Readonly<Record<string, tf.Tensor>>;
}

/** An optimizer as its state dict needs it. */
export interface OptimizerView<S extends GroupSettings = GroupSettings> {
  /** The optimizer's name in SOLVER.OPTIMIZING_METHOD. */
  readonly method: string;
  readonly paramGroups: readonly ParamGroup<S>[];
  readonly defaults: S;
  /** Entries of PyTorch's groups that always have the same value here. */
  readonly fixedSettings: Readonly<Record<string, boolean | null>>;
  /** Tensors of a parameter's state, by PyTorch's names. */
  readonly bufferNames: readonly string[];
  /** Whether a parameter's state counts its steps, and is broken without its tensors. */
  readonly countsSteps: boolean;
  /** Whether a step multiplies the learning rates by `lr_scale`. */
  readonly applyLrScale: boolean;
  /** Whether parameters of a saved group have a state, according to the group's settings. */
  keepsState(fileGroup: ReadonlyMap<PyValue, PyValue>): boolean;
  /** Returns a parameter's state, which is valid until the next step. */
  stateOf(parameter: Parameter): ParameterState | undefined;
}

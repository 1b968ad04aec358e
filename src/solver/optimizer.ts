/** @file What all optimizers share: parameter groups, the walk over gradients, PyTorch's state dict. */
import * as tf from '@tensorflow/tfjs';
import { graphBreak } from '../engine/lazy_hints.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { toFloat32 } from '../formats/host_tensor.js';
import type { PyDict, PyValue } from '../formats/python/values.js';
import type { Parameter } from '../nn/module.js';
import { packOptimizer, type UnpackedGroup, unpackOptimizer } from './optimizer_state.js';
import type { GroupSettings, OptimizerView, ParameterState, ParamGroup } from './optimizer_view.js';
import { type OptimizerParams, toGroups } from './param_groups.js';
import { type NamedSettings, type SettingDifference, settingDifferences } from './setting_differences.js';

/** One parameter's update, all on the engine. */
export interface UpdateInput<S extends GroupSettings> {
  readonly weight: tf.Tensor;
  readonly grad: tf.Tensor;
  /** Buffers before the update. */
  readonly buffers: Readonly<Record<string, tf.Tensor>>;
  /** Number of this update, from 1. */
  readonly step: number;
  /** Learning rate with everything multiplied in. */
  readonly lr: number;
  readonly group: ParamGroup<S>;
  /** Host numbers as a tensor; equal ones are one tensor for all parameters of the step. */
  vector(values: readonly number[]): tf.Tensor1D;
}

export interface UpdateResult {
  readonly weight: tf.Tensor;
  readonly buffers: Record<string, tf.Tensor>;
}

/** Parameters updated together, in elements (64 MiB of each tensor). */
const MAX_ELEMENTS_AT_ONCE = 2 ** 24;

/** Settings of a new optimizer. */
export interface OptimizerSettings<S extends GroupSettings> {
  /** Settings of the groups that have none of their own. */
  readonly defaults: S;
  /** Whether `lr_scale` is multiplied in at the step; default true. */
  readonly applyLrScale?: boolean;
}

export interface OptimizerStepOptions {
  /** Factor of all gradients; none by default. */
  readonly gradScale?: number;
}

export abstract class Optimizer<S extends GroupSettings = GroupSettings> implements OptimizerView<S> {
  readonly paramGroups: ParamGroup<S>[];
  readonly defaults: S;
  readonly applyLrScale: boolean;
  readonly #states = new Map<Parameter, ParameterState>();

  abstract readonly method: string;
  abstract readonly bufferNames: readonly string[];
  abstract readonly countsSteps: boolean;
  abstract readonly fixedSettings: Readonly<Record<string, boolean | null>>;

  keepsState(_fileGroup: ReadonlyMap<PyValue, PyValue>): boolean {
    return true;
  }

  /**
   * Takes parameters, or groups of them. Allocates nothing on the engine: state comes into being with a parameter's
   * first gradient. Throws ConfigError on settings that PyTorch refuses.
   */
  constructor(params: OptimizerParams, { defaults, applyLrScale = true }: OptimizerSettings<S>) {
    this.defaults = defaults;
    this.applyLrScale = applyLrScale;
    this.paramGroups = toGroups(params).map((group) => {
      const { name, params, lr = defaults.lr, weight_decay = defaults.weight_decay, lr_scale } = group;
      const settings: S = { ...defaults, lr, weight_decay };
      const problem = this.problemWith(settings);
      if (problem) throw new ConfigError(`optimizer settings of parameter group "${name}": ${problem}`);
      return { ...settings, name, params, lr_scale, extra: new Map<string, PyValue>() };
    });
    const seen = new Set<Parameter>();
    for (const { params } of this.paramGroups) {
      for (const { name, parameter } of params) {
        if (seen.has(parameter)) throw new Error(`parameter ${name} is in the optimizer twice`);
        seen.add(parameter);
      }
    }
    if (seen.size === 0)
      throw new ConfigError('the optimizer got no parameters: is every one of them frozen?');
  }

  /** Returns the problem with a group's settings, or null; may not use fields of subclasses. */
  protected problemWith({ lr, weight_decay }: S): string | null {
    if (!(lr >= 0)) return `learning rate ${lr}: expected a number from 0 (SOLVER.BASE_LR)`;
    if (!(weight_decay >= 0)) return `weight decay ${weight_decay}: expected a number from 0`;
    return null;
  }

  /** State before the first update, where there is any; each buffer a tensor of its own. */
  protected initialBuffers(_weight: tf.Tensor): Record<string, tf.Tensor> {
    return {};
  }

  /** The update rule, inside a tf.tidy; every buffer of the result is a tensor of its own. */
  protected abstract update(input: UpdateInput<S>): UpdateResult;

  /** The learning rate that a group trains with: the schedule's, times `lr_scale` unless that is switched off. */
  effectiveLr(group: ParamGroup<S>): number {
    return this.applyLrScale ? group.lr * (group.lr_scale ?? 1) : group.lr;
  }

  /** Updates every parameter that has a gradient; the others and their state stay as they are. */
  step({ gradScale }: OptimizerStepOptions = {}): void {
    // Shared by all parameters of this step. Tensors rather than attributes of ops: an engine that keeps compiled
    // graphs can then run the same one with the next step's numbers.
    const vectors = new Map<string, tf.Tensor1D>();
    const vector = (values: readonly number[]) => {
      const key = values.join();
      const made = vectors.get(key) ?? tf.keep(tf.tensor1d([...values]));
      vectors.set(key, made);
      return made;
    };
    let elements = 0;
    try {
      this.#initializeStates();
      for (const group of this.paramGroups) {
        const lr = this.effectiveLr(group);
        for (const { parameter } of group.params) {
          if (!parameter.grad) continue;
          // Old and new state of one piece are in memory together.
          if (elements === 0 || elements + parameter.size > MAX_ELEMENTS_AT_ONCE) {
            graphBreak('optimizer');
            elements = 0;
          }
          this.#updateParameter(parameter, { group, lr, gradScale, vector });
          elements += parameter.size;
        }
      }
    } finally {
      for (const tensor of vectors.values()) tensor.dispose();
    }
  }

  /** Apart from the updates, so that an engine that keeps compiled graphs finds the first step's like any other. */
  #initializeStates(): void {
    graphBreak('optimizer');
    for (const { params } of this.paramGroups) {
      for (const { parameter } of params) {
        if (!parameter.grad || this.#states.has(parameter)) continue;
        const buffers = tf.tidy(() => this.initialBuffers(parameter.value));
        for (const tensor of Object.values(buffers)) tf.keep(tensor);
        this.#states.set(parameter, { steps: 0, buffers });
      }
    }
  }

  #updateParameter(
    parameter: Parameter,
    { group, lr, gradScale, vector }: Pick<UpdateInput<S>, 'group' | 'lr' | 'vector'> & OptimizerStepOptions,
  ): void {
    const before = this.#states.get(parameter);
    const step = (before?.steps ?? 0) + 1;
    const grad = parameter.grad as tf.Tensor;
    const buffers = tf.tidy(() => {
      const result = this.update({
        weight: parameter.value,
        // Here rather than all at once before: a second set of gradients would be in memory.
        grad: gradScale === undefined ? grad : grad.mul(vector([gradScale]).reshape([])),
        buffers: before?.buffers ?? {},
        step,
        lr,
        group,
        vector,
      });
      parameter.value.assign(result.weight);
      return result.buffers;
    });
    for (const tensor of Object.values(buffers)) tf.keep(tensor);
    disposeState(before);
    this.#states.set(parameter, { steps: step, buffers });
  }

  /** Forgets the gradients. */
  zeroGrad(): void {
    for (const { params } of this.paramGroups) {
      for (const { parameter } of params) {
        parameter.grad?.dispose();
        parameter.grad = null;
      }
    }
  }

  stateOf(parameter: Parameter): ParameterState | undefined {
    return this.#states.get(parameter);
  }

  /**
   * PyTorch's state dict; learning rates are without `lr_scale`. Tensors are read from the engine when their bytes are asked
   * for, which has to be before the next step.
   */
  stateDict(): PyDict {
    return packOptimizer(this);
  }

  /**
   * Continues from a state dict of this class or PyTorch's. As in PyTorch the file's learning rates, betas, eps and weight
   * decays replace those of the configuration; the settings for which that changed something are returned.
   * Throws CheckpointError, with nothing changed, where the file does not fit.
   */
  loadStateDict(state: PyValue): SettingDifference[] {
    const { groups, states } = unpackOptimizer(this, state);
    const next = groups.map((loaded, i) => this.#mergeGroup(this.paramGroups[i], loaded));
    const before = this.#groupSettings();
    this.paramGroups.splice(0, next.length, ...next);
    const previous = new Map(this.#states);
    this.#states.clear();
    for (const [parameter, { steps, tensors }] of states) {
      const buffers: Record<string, tf.Tensor> = {};
      for (const [name, tensor] of Object.entries(tensors)) {
        buffers[name] = tf.keep(tf.tensor(toFloat32(tensor), [...parameter.shape], 'float32'));
      }
      this.#states.set(parameter, { steps, buffers });
      // One by one, so that there are never two whole states on the engine.
      disposeState(previous.get(parameter));
      previous.delete(parameter);
    }
    for (const state of previous.values()) disposeState(state);
    return settingDifferences(before, this.#groupSettings());
  }

  #mergeGroup(group: ParamGroup<S>, { settings, initial_lr, lr_scale, extra }: UnpackedGroup): ParamGroup<S> {
    const { name, params } = group;
    const next = { ...group, ...settings, initial_lr, lr_scale: lr_scale ?? group.lr_scale, extra };
    const problem = this.problemWith(next);
    if (problem) throw new CheckpointError(`the checkpoint's optimizer, group "${name}": ${problem}`);
    return { ...next, name, params };
  }

  /** Settings without the current learning rate, which belongs to the schedule's position. */
  #groupSettings(): NamedSettings[] {
    const names = Object.keys(this.defaults).filter((name) => name !== 'lr') as (keyof S)[];
    return this.paramGroups.map((group) => ({
      name: group.name,
      settings: {
        initial_lr: group.initial_lr ?? group.lr,
        lr_scale: group.lr_scale,
        ...Object.fromEntries(names.map((name) => [name, group[name]])),
      },
    }));
  }

  /** Frees the state (not the parameters). */
  dispose(): void {
    for (const state of this.#states.values()) disposeState(state);
    this.#states.clear();
  }
}

function disposeState(state: ParameterState | undefined): void {
  for (const tensor of Object.values(state?.buffers ?? {})) tensor.dispose();
}

/** @file The base class of all optimizers: parameter groups, the step over all parameters, PyTorch's state dict. */
import { graphBreak, sync } from '../engine/lazy_hints.js';
import { beginProgram, feed } from '../engine/programs.js';
import { tf } from '../engine/tfjs.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { toFloat32 } from '../formats/host_tensor.js';
import type { PyDict, PyValue } from '../formats/python/values.js';
import type { Parameter } from '../nn/module.js';
import { packOptimizer, type UnpackedGroup, unpackOptimizer } from './optimizer_state.js';
import type { GroupSettings, OptimizerView, ParameterState, ParamGroup } from './optimizer_view.js';
import { type OptimizerParams, toGroups } from './param_groups.js';
import { type NamedSettings, type SettingDifference, settingDifferences } from './setting_differences.js';

/** What the numbers of one parameter's update depend on. */
export interface UpdateSettings<S extends GroupSettings> {
  /** Number of this update, from 1. */
  readonly step: number;
  /** Learning rate, already multiplied by `lr_scale`. */
  readonly lr: number;
  readonly group: ParamGroup<S>;
}

/** Host numbers by name. */
export type UpdateNumbers = Readonly<Record<string, readonly number[]>>;

/** The input of one parameter's update. All tensors are on the engine. */
export interface UpdateInput {
  readonly weight: tf.Tensor;
  readonly grad: tf.Tensor;
  /** Buffers before the update. */
  readonly buffers: Readonly<Record<string, tf.Tensor>>;
  /** The numbers that `numbers` returned. */
  readonly vectors: Readonly<Record<string, tf.Tensor1D>>;
}

export interface UpdateResult {
  readonly weight: tf.Tensor;
  readonly buffers: Record<string, tf.Tensor>;
}

/** The update of one parameter in a step. */
interface ParameterUpdate {
  readonly parameter: Parameter;
  readonly step: number;
  /** The parameter's buffers before the update. */
  readonly buffers: readonly tf.Tensor[];
  /** Indices of the step's vectors by the names of the numbers. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** The host's part of a step. */
interface StepPlan {
  readonly updates: readonly ParameterUpdate[];
  /** Different vectors of host numbers. All parameters of a step share the tensors of equal numbers. */
  readonly vectors: readonly (readonly number[])[];
  /** Index of the vector of the factor of all gradients; null without one. */
  readonly gradScale: number | null;
}

/** Maximum number of elements updated in one graph: 64 MiB for each kind of tensor. */
const MAX_ELEMENTS_AT_ONCE = 2 ** 24;

/** Settings of a new optimizer. */
export interface OptimizerSettings<S extends GroupSettings> {
  /** Settings of groups that do not set their own. */
  readonly defaults: S;
  /** Whether a step multiplies the learning rates by `lr_scale`; default true. */
  readonly applyLrScale?: boolean;
}

export interface OptimizerStepOptions {
  /** Factor of all gradients, such as that of gradient clipping; none by default. */
  readonly gradScale?: number;
}

export interface StepAndReleaseOptions extends OptimizerStepOptions {
  /** Whether the engine may run the update from a captured script; default true. */
  readonly replay?: boolean;
}

/** Updates parameters by their gradients, and saves and loads its state in PyTorch's form. */
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
   * Takes parameters or groups of them. Allocates nothing on the engine yet: a parameter gets its state at the first step in
   * which it has a gradient. Throws ConfigError on settings that PyTorch refuses.
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

  /** Returns the problem with a group's settings, or null. Runs before the fields of subclasses exist. */
  protected problemWith({ lr, weight_decay }: S): string | null {
    if (!(lr >= 0)) return `learning rate ${lr}: expected a number from 0 (SOLVER.BASE_LR)`;
    if (!(weight_decay >= 0)) return `weight decay ${weight_decay}: expected a number from 0`;
    return null;
  }

  /** Makes the buffers that exist before the first update; each is a new tensor. */
  protected initialBuffers(_weight: tf.Tensor): Record<string, tf.Tensor> {
    return {};
  }

  /**
   * Returns the numbers of a parameter's update. They are tensors in `update`, and not attributes of operations, so that an
   * engine can repeat the operations with the numbers of the next step.
   */
  protected abstract numbers(settings: UpdateSettings<S>): UpdateNumbers;

  /**
   * Computes an update, inside a tf.tidy. Every buffer of the result is a new tensor. The operations may depend on the names of
   * the numbers and buffers that are there, and on nothing else that changes.
   */
  protected abstract update(input: UpdateInput): UpdateResult;

  /** Returns the learning rate that a step uses for a group: the schedule's, times `lr_scale` if that is applied. */
  effectiveLr(group: ParamGroup<S>): number {
    return this.applyLrScale ? group.lr * (group.lr_scale ?? 1) : group.lr;
  }

  /** Updates every parameter that has a gradient. Parameters without one keep their value and state. */
  step({ gradScale }: OptimizerStepOptions = {}): void {
    this.#record(this.#plan(gradScale));
  }

  /**
   * Does a step, disposes all gradients, and resolves when the engine has done all of it. On an engine that captures scripts,
   * later steps run from one.
   */
  async stepAndRelease({ gradScale, replay = true }: StepAndReleaseOptions = {}): Promise<void> {
    const plan = this.#plan(gradScale);
    const { updates, vectors } = plan;
    const program = beginProgram(
      {
        owners: [this],
        key: keyOf(plan),
        consumed: updates.map(({ parameter }) => parameter.grad as tf.Tensor),
        replaced: targets(updates, ({ buffers }) => buffers),
      },
      replay,
    );
    try {
      if (program.isReplay) {
        for (const vector of vectors) program.feed(Float32Array.from(vector));
        await program.finish();
        for (const { parameter, step } of updates) this.#stateOf(parameter).steps = step;
        this.zeroGrad();
      } else {
        this.#record(plan);
        // Releases the gradients before `sync` runs the update, so that it need not keep them.
        this.zeroGrad();
        await sync();
        const replaced = targets(updates, ({ parameter }) => this.#buffersOf(parameter));
        program.finish({ replaced, feeds: vectors.length, reads: 0 });
      }
    } finally {
      program.abort();
    }
  }

  #plan(gradScale?: number): StepPlan {
    const vectors: (readonly number[])[] = [];
    const indices = new Map<string, number>();
    const indexOf = (numbers: readonly number[]) => {
      const key = numbers.join();
      const index = indices.get(key) ?? vectors.push(numbers) - 1;
      indices.set(key, index);
      return index;
    };
    const updates: ParameterUpdate[] = [];
    for (const group of this.paramGroups) {
      const lr = this.effectiveLr(group);
      /** Parameters that were updated equally often have the same numbers. */
      const byStep = new Map<number, Record<string, number>>();
      for (const { parameter } of group.params) {
        if (!parameter.grad) continue;
        const step = (this.#states.get(parameter)?.steps ?? 0) + 1;
        let numbers = byStep.get(step);
        if (!numbers) {
          const named = Object.entries(this.numbers({ step, lr, group }));
          numbers = Object.fromEntries(named.map(([name, values]) => [name, indexOf(values)]));
          byStep.set(step, numbers);
        }
        updates.push({ parameter, step, numbers, buffers: this.#buffersOf(parameter) });
      }
    }
    return { updates, vectors, gradScale: gradScale === undefined ? null : indexOf([gradScale]) };
  }

  /** A parameter's buffers in the order of their names. */
  #buffersOf(parameter: Parameter): tf.Tensor[] {
    const buffers = this.#states.get(parameter)?.buffers ?? {};
    const found: tf.Tensor[] = [];
    for (const name of this.bufferNames) if (buffers[name]) found.push(buffers[name]);
    return found;
  }

  #record({ updates, vectors, gradScale }: StepPlan): void {
    const tensors: tf.Tensor1D[] = [];
    let elements = 0;
    try {
      for (const values of vectors)
        tensors.push(tf.keep(feed(Float32Array.from(values), [values.length])) as tf.Tensor1D);
      this.#initializeStates(updates);
      for (const update of updates) {
        const { size } = update.parameter;
        // The old and the new state of a graph's parameters are in memory together.
        if (elements === 0 || elements + size > MAX_ELEMENTS_AT_ONCE) {
          graphBreak('optimizer');
          elements = 0;
        }
        this.#updateParameter(update, tensors, gradScale === null ? null : tensors[gradScale]);
        elements += size;
      }
    } finally {
      for (const tensor of tensors) tensor.dispose();
    }
  }

  /** Makes missing states in a graph of their own, so that the graphs of the first step equal those of later steps. */
  #initializeStates(updates: readonly ParameterUpdate[]): void {
    graphBreak('optimizer');
    for (const { parameter } of updates) {
      if (this.#states.has(parameter)) continue;
      const buffers = tf.tidy(() => this.initialBuffers(parameter.value));
      for (const tensor of Object.values(buffers)) tf.keep(tensor);
      this.#states.set(parameter, { steps: 0, buffers });
    }
  }

  #updateParameter(
    { parameter, step, numbers }: ParameterUpdate,
    vectors: readonly tf.Tensor1D[],
    gradScale: tf.Tensor1D | null,
  ): void {
    const before = this.#stateOf(parameter);
    const grad = parameter.grad as tf.Tensor;
    const buffers = tf.tidy(() => {
      const result = this.update({
        weight: parameter.value,
        // Scaling all gradients beforehand would take the memory of a second set of gradients.
        grad: gradScale ? grad.mul(gradScale.reshape([])) : grad,
        buffers: before.buffers,
        vectors: Object.fromEntries(Object.entries(numbers).map(([name, index]) => [name, vectors[index]])),
      });
      parameter.value.assign(result.weight);
      return result.buffers;
    });
    for (const tensor of Object.values(buffers)) tf.keep(tensor);
    disposeState(before);
    this.#states.set(parameter, { steps: step, buffers });
  }

  #stateOf(parameter: Parameter): ParameterState {
    return this.#states.get(parameter) as ParameterState;
  }

  /** Disposes all gradients. */
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
   * Returns PyTorch's state dict; its learning rates do not include `lr_scale`. Tensors are read from the engine when their
   * bytes are requested, which must happen before the next step.
   */
  stateDict(): PyDict {
    return packOptimizer(this);
  }

  /**
   * Continues from a state dict of this class or PyTorch's. As in PyTorch, the learning rates, betas, eps and weight decays of
   * the file replace those of the configuration. Returns the settings that changed. Throws CheckpointError and changes
   * nothing if the file does not fit.
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
      // Disposing one at a time avoids two complete states on the engine.
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

  /** Returns the settings without the current learning rate, which depends on the position in the schedule. */
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

  /** Disposes the state, but not the parameters. */
  dispose(): void {
    for (const state of this.#states.values()) disposeState(state);
    this.#states.clear();
  }
}

/** All that determines the operations of a step beside the shapes of tensors. */
function keyOf({ updates, gradScale }: StepPlan): string {
  const names = new Map<object, string>();
  const keys = updates.map(({ numbers, buffers }) => {
    let key = names.get(numbers);
    if (key === undefined) {
      key = JSON.stringify(numbers);
      names.set(numbers, key);
    }
    return key + buffers.length;
  });
  return `update ${gradScale} ${keys.join(' ')}`;
}

/** The tensors that a step replaces: weights, then buffers. */
function targets(
  updates: readonly ParameterUpdate[],
  buffersOf: (update: ParameterUpdate) => readonly tf.Tensor[],
): tf.Tensor[] {
  const weights: tf.Tensor[] = updates.map(({ parameter }) => parameter.value);
  return [...weights, ...updates.flatMap(buffersOf)];
}

function disposeState(state: ParameterState | undefined): void {
  for (const tensor of Object.values(state?.buffers ?? {})) tensor.dispose();
}

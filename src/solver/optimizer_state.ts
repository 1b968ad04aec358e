/** @file Converts an optimizer's state to PyTorch's format and back. */
import { hostTensor } from '../engine/to_host.js';
import { CheckpointError } from '../errors.js';
import { float32Tensor, type HostTensor } from '../formats/host_tensor.js';
import {
  asBoolean,
  asCount,
  asDict,
  asList,
  asNumber,
  asNumbers,
  asString,
  asTensor,
} from '../formats/python/dict.js';
import { type PyDict, PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import type { Parameter } from '../nn/module.js';
import type { GroupSettings, OptimizerView } from './optimizer_view.js';
import type { NamedParameter } from './param_groups.js';

/** Key of a saved group that says whether `lr_scale` was applied. The official code does not write it. */
export const APPLY_LR_SCALE_KEY = 'apply_lr_scale';

/** Entries of a saved group that this module reads or writes itself. All others are saved again unchanged. */
const KNOWN_ENTRIES = new Set([
  'name',
  'params',
  'param_names',
  'lr_scale',
  'initial_lr',
  APPLY_LR_SCALE_KEY,
  // It depends on the class: PyTorch's AdamW always sets it and ignores the file.
  'decoupled_weight_decay',
]);

/** The settings of a parameter group in a file. */
export interface UnpackedGroup {
  settings: Record<string, number | boolean | number[]>;
  initial_lr: number | undefined;
  lr_scale: number | undefined;
  extra: Map<string, PyValue>;
}

/** The state of a parameter in a file. */
export interface UnpackedState {
  steps: number;
  tensors: Record<string, HostTensor>;
}

/** Makes the state dict. Its indices count the parameters over all groups. */
export function packOptimizer<S extends GroupSettings>(optimizer: OptimizerView<S>): PyDict {
  const state = new Map<PyValue, PyValue>();
  const groups: PyValue[] = [];
  let index = 0;
  for (const group of optimizer.paramGroups) {
    const entries: Record<string, PyValue> = { name: group.name };
    for (const name of Object.keys(optimizer.defaults)) entries[name] = packSetting(group[name as keyof S]);
    if (group.lr_scale !== undefined) entries.lr_scale = new PyFloat(group.lr_scale);
    if (group.initial_lr !== undefined) entries.initial_lr = new PyFloat(group.initial_lr);
    entries[APPLY_LR_SCALE_KEY] = optimizer.applyLrScale;
    Object.assign(entries, optimizer.fixedSettings, Object.fromEntries(group.extra));
    entries.param_names = group.params.map(({ name }) => name);
    entries.params = group.params.map((_, i) => index + i);
    groups.push(entries);
    for (const { parameter } of group.params) {
      const saved = packState(optimizer, parameter);
      if (saved) state.set(index, saved);
      index++;
    }
  }
  return new Map<PyValue, PyValue>([
    ['state', state],
    ['param_groups', groups],
  ]);
}

function packSetting(value: unknown): PyValue {
  if (typeof value === 'number') return new PyFloat(value);
  if (Array.isArray(value)) return new PyTuple(value.map(packSetting));
  return value as boolean;
}

function packState<S extends GroupSettings>(
  optimizer: OptimizerView<S>,
  parameter: Parameter,
): Record<string, PyValue> | null {
  const state = optimizer.stateOf(parameter);
  if (!state || Object.keys(state.buffers).length === 0) return null;
  const entries: Record<string, PyValue> = {};
  // PyTorch saves the count as a float32 tensor without dimensions.
  if (optimizer.countsSteps) entries.step = float32Tensor([], Float32Array.of(state.steps));
  for (const [name, tensor] of Object.entries(state.buffers)) {
    entries[name] = hostTensor(tensor, parameter.shape);
  }
  return entries;
}

/** Reads and checks a state dict for this optimizer, without the data of its tensors. Throws CheckpointError. */
export function unpackOptimizer<S extends GroupSettings>(
  optimizer: OptimizerView<S>,
  value: PyValue,
): { groups: UnpackedGroup[]; states: Map<Parameter, UnpackedState> } {
  const dict = asDict(value, 'optimizer state');
  const { fileGroups, byIndex } = pairParameters(optimizer, dict);
  const groups = fileGroups.map((fileGroup, i) =>
    unpackGroup(optimizer, fileGroup, `optimizer group "${optimizer.paramGroups[i].name}"`),
  );
  const states = new Map<Parameter, UnpackedState>();
  for (const [key, entries] of asDict(dict.get('state'), 'optimizer state["state"]')) {
    const named = byIndex.get(Number(key))?.named;
    if (!named) continue;
    const what = `optimizer state of ${named.name}`;
    const state = unpackState(optimizer, asDict(entries, what), named.parameter, what);
    if (state) states.set(named.parameter, state);
  }
  return { groups, states };
}

/** A parameter of this run, and its group in the file. */
interface PairedParameter {
  readonly named: NamedParameter;
  readonly fileGroup: ReadonlyMap<PyValue, PyValue>;
}

/**
 * Pairs the parameters of a file with those of this run. `byIndex` maps the indices in the file. Throws CheckpointError if
 * they do not fit.
 */
export function pairParameters(
  { paramGroups }: Pick<OptimizerView, 'paramGroups'>,
  dict: ReadonlyMap<PyValue, PyValue>,
): { fileGroups: ReadonlyMap<PyValue, PyValue>[]; byIndex: Map<number, PairedParameter> } {
  const fileGroups = asList(dict.get('param_groups'), 'optimizer param_groups').map((group, i) =>
    asDict(group, `optimizer param_groups[${i}]`),
  );
  if (fileGroups.length !== paramGroups.length) {
    throw misfit(
      `it has ${fileGroups.length} parameter groups, this run has ${paramGroups.length} ` +
        `(${paramGroups.map(({ name }) => name).join(', ')})`,
    );
  }
  // The indices in a file need not be 0, 1, 2, …: PyTorch pairs parameters by their order.
  const byIndex = new Map<number, PairedParameter>();
  for (const [i, fileGroup] of fileGroups.entries()) {
    const { name, params } = paramGroups[i];
    const indices = asNumbers(fileGroup.get('params'), `optimizer param_groups[${i}]["params"]`);
    if (indices.length !== params.length) {
      throw misfit(
        `its group ${i} has ${indices.length} parameters, "${name}" of this run has ${params.length}`,
      );
    }
    checkNames(fileGroup.get('param_names'), params, name);
    for (const [n, index] of indices.entries()) byIndex.set(index, { named: params[n], fileGroup });
  }
  return { fileGroups, byIndex };
}

function misfit(why: string): CheckpointError {
  return new CheckpointError(`the checkpoint's optimizer state does not fit this run: ${why}`);
}

function checkNames(names: PyValue | undefined, params: readonly NamedParameter[], group: string): void {
  if (names === undefined) return;
  for (const [i, fileName] of asList(names, `optimizer group "${group}", param_names`).entries()) {
    if (fileName !== params[i]?.name) {
      throw misfit(`parameter ${i} of its group "${group}" is ${fileName}, of this run ${params[i]?.name}`);
    }
  }
}

function unpackGroup<S extends GroupSettings>(
  { defaults, method }: OptimizerView<S>,
  fileGroup: ReadonlyMap<PyValue, PyValue>,
  what: string,
): UnpackedGroup {
  const optional = (name: string) => {
    const value = fileGroup.get(name);
    return value === undefined || value === null ? undefined : asNumber(value, `${what}, ${name}`);
  };
  const settings: UnpackedGroup['settings'] = {};
  for (const [name, configured] of Object.entries(defaults)) {
    const value = fileGroup.get(name);
    const where = `${what}, ${name}`;
    if (value === undefined)
      throw misfit(`it has no "${name}", which SOLVER.OPTIMIZING_METHOD ${method} needs`);
    if (typeof configured === 'boolean') settings[name] = asBoolean(value, where);
    else settings[name] = Array.isArray(configured) ? asNumbers(value, where) : asNumber(value, where);
  }
  for (const variant of ['amsgrad', 'maximize']) {
    if (fileGroup.get(variant)) throw misfit(`it was made with ${variant}, which is not supported here`);
  }
  const extra = new Map<string, PyValue>();
  for (const [key, value] of fileGroup) {
    const name = asString(key, `key of ${what}`);
    if (!KNOWN_ENTRIES.has(name) && !(name in defaults)) extra.set(name, value);
  }
  return { settings, initial_lr: optional('initial_lr'), lr_scale: optional('lr_scale'), extra };
}

function unpackState<S extends GroupSettings>(
  { bufferNames, countsSteps }: OptimizerView<S>,
  entries: ReadonlyMap<PyValue, PyValue>,
  { shape }: Parameter,
  what: string,
): UnpackedState | null {
  const tensors: Record<string, HostTensor> = {};
  for (const name of bufferNames) {
    const value = entries.get(name);
    // PyTorch 1.13 saves an empty momentum_buffer as None.
    if (value !== undefined && value !== null) tensors[name] = asTensor(value, shape, `${what}, ${name}`);
    else if (countsSteps && entries.size > 0) throw misfit(`the ${what} lacks ${name}`);
  }
  if (Object.keys(tensors).length === 0) return null;
  // An optimizer that does not count its steps needs any number but 0 after the first one.
  return { steps: countsSteps ? asCount(entries.get('step'), `${what}, step`) : 1, tensors };
}

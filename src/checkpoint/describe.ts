/** @file Describes a weight file: its tensors with their sums, the training state, checksums, and how it loads. */
import { statSync } from 'node:fs';
import { DamagedDataError } from '../formats/checksum.js';
import { type DType, type HostTensor, isHostTensor, sizeOf } from '../formats/host_tensor.js';
import { PyOpaque, PyTuple, type PyValue } from '../formats/python/values.js';
import {
  type ChecksumReport,
  checkWeightFile,
  openWeightFile,
  type WeightFormat,
  weightFormatOf,
} from '../formats/weight_file.js';
import { countOf, firstNames } from '../util/text.js';
import { describeForeignNetwork } from './misfit/other_network.js';
import { MODEL_INFO, type ModelInfo, modelInfoOf } from './model_info.js';
import { isKnownName, isOfBlock, kindOf, likelyGroupOf } from './model_parts.js';
import { plainName } from './origins/layout.js';
import { describeOrigin, type NamedWeights, nameWeights } from './origins/named_weights.js';
import { AmbiguousWeightsError, type Candidate, findStateDict, type StateDict } from './state_dict.js';
import { statisticsOf, type TensorStatistics } from './tensor_statistics.js';
import { isHead } from './weights.js';

export interface TensorDescription {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Null if the data are damaged. */
  readonly statistics: TensorStatistics | null;
}

export interface CheckpointDescription {
  readonly path: string;
  readonly format: WeightFormat;
  readonly bytes: number;
  /** The keys that lead to the weights, with dots between them; null if the file holds nothing else. */
  readonly weightsKey: string | null;
  /** All sets of weights in the file. */
  readonly candidates: readonly Candidate[];
  /** Whether MODEL.WEIGHT_KEY must choose one of them. */
  readonly needsKey: boolean;
  /** The code base whose names the tensors have, in words. */
  readonly origin: string;
  /** What the file says about its model. */
  readonly info: ModelInfo | null;
  /** The model's tensors in the file's order. */
  readonly tensors: readonly TensorDescription[];
  readonly elements: number;
  /** Entries among the weights that are not tensors. */
  readonly noTensors: readonly string[];
  /** Sentences on how MODEL.WEIGHT loads these names. */
  readonly loading: readonly string[];
  /** How many tensors have names of the model, for each group in the file. */
  readonly groups: readonly NamedGroup[];
  /** Names of tensors that seem to belong to no group, with N for the first number. */
  readonly otherNames: readonly string[];
  readonly iteration: PyValue;
  readonly optimizer: OptimizerDescription | null;
  readonly scheduler: SchedulerDescription | null;
  /** Descriptions of all other entries, by key. */
  readonly others: Readonly<Record<string, string>>;
  readonly checksums: ChecksumReport;
}

/** Tensors that belong to the backbone, the neck or the head by their names. */
export interface NamedGroup {
  readonly group: string;
  readonly tensors: number;
  /** Tensors whose names some model has. */
  readonly known: number;
  /** The other names, with N for the numbers of blocks, levels and stages. */
  readonly unknown: readonly string[];
}

export interface OptimizerDescription {
  readonly method: string;
  readonly groups: number;
  /** Parameters that have a state. */
  readonly states: number;
}

export interface SchedulerDescription {
  readonly schedule: string;
  /** Iterations done. */
  readonly position: PyValue;
}

/**
 * Reads a whole file, piece by piece, and describes it, even if data are damaged. Throws CheckpointError if its structure is
 * wrong or it has no weights.
 */
export function describeWeightFile(path: string): CheckpointDescription {
  const file = openWeightFile(path);
  const { value: content } = file;
  const { chosen, needsKey } = stateDictToShow(path, content);
  const { state, key } = chosen;
  const tensors: TensorDescription[] = [];
  for (const [name, tensor] of state) if (tensor) tensors.push(describeTensor(name, tensor));
  const weights = nameWeights(state);
  const { groups, otherNames } = sortNames(weights);
  return {
    path,
    format: weightFormatOf(path),
    bytes: statSync(path).size,
    weightsKey: key === '' ? null : key,
    candidates: chosen.candidates,
    needsKey,
    origin: describeOrigin(weights),
    info: modelInfoOf(file),
    tensors,
    elements: tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    noTensors: [...state].filter(([, tensor]) => tensor === null).map(([name]) => name),
    loading: describeLoading(weights, groups),
    groups,
    otherNames,
    ...describeOthers(content, chosen),
    checksums: checkWeightFile(path),
  };
}

/** The state dict that loading takes, or the largest if the user must choose one. */
function stateDictToShow(path: string, content: PyValue): { chosen: StateDict; needsKey: boolean } {
  try {
    return { chosen: findStateDict(path, content), needsKey: false };
  } catch (error) {
    if (!(error instanceof AmbiguousWeightsError)) throw error;
    const [{ key }] = error.candidates
      .filter(({ key }) => key !== '')
      .toSorted((a, b) => b.tensors - a.tensors);
    return { chosen: findStateDict(path, content, { key, option: 'MODEL.WEIGHT_KEY' }), needsKey: true };
  }
}

/** Describes what a file holds besides its weights. */
function describeOthers(
  content: PyValue,
  { dict, parents }: StateDict,
): Pick<CheckpointDescription, 'iteration' | 'optimizer' | 'scheduler' | 'others'> {
  const isOfWeights = (value: PyValue) => value === dict || parents.includes(value);
  const entries = new Map(content instanceof Map && content !== dict ? content : []);
  for (const [key, value] of entries) if (key === MODEL_INFO || isOfWeights(value)) entries.delete(key);
  const iteration = entries.get('iteration') ?? null;
  const optimizer = describeOptimizer(entries.get('optimizer'));
  const scheduler = describeScheduler(entries.get('scheduler'));
  for (const [key, described] of Object.entries({ iteration, optimizer, scheduler })) {
    if (described !== null) entries.delete(key);
  }
  const others = Object.fromEntries(Array.from(entries, ([key, value]) => [String(key), inWords(value)]));
  return { iteration, optimizer, scheduler, others };
}

function describeTensor(name: string, tensor: HostTensor): TensorDescription {
  const { dtype, shape } = tensor;
  try {
    return { name, dtype, shape, statistics: statisticsOf(tensor) };
  } catch (error) {
    if (!(error instanceof DamagedDataError)) throw error;
    return { name, dtype, shape, statistics: null };
  }
}

const GROUPS = ['backbone', 'neck', 'head'];

function sortNames({ state, keyByName }: NamedWeights): Pick<CheckpointDescription, 'groups' | 'otherNames'> {
  const names = [...keyByName].flatMap(([name, key]) => (state.get(key) ? [name] : []));
  const groupOfName = (name: string) => (isHead(name) ? 'head' : likelyGroupOf(name));
  const groups = GROUPS.map((group) => {
    const ofGroup = names.filter((name) => groupOfName(name) === group);
    const unknown = ofGroup.filter((name) => !isKnownName(name));
    const known = ofGroup.length - unknown.length;
    return { group, tensors: ofGroup.length, known, unknown: kindsAmong(unknown) };
  });
  return {
    groups: groups.filter(({ tensors }) => tensors > 0),
    otherNames: kindsAmong(names.filter((name) => groupOfName(name) === null)),
  };
}

function kindsAmong(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => kindOf(name).kind))];
}

/** Describes how matchWeights uses the names. */
function describeLoading(weights: NamedWeights, groups: readonly NamedGroup[]): string[] {
  const { keyByName, keyBiases, prefix } = weights;
  const foreign = describeForeignNetwork(weights);
  if (foreign !== null) return [foreign];
  const lines: string[] = [];
  const names = [...keyByName.keys()];
  const keys = [...keyByName.values()];
  if (prefix !== '') {
    const count = keys.filter((key) => plainName(key).startsWith(prefix)).length;
    const which = count === keys.length ? 'every name' : `${count} of ${keys.length} names`;
    lines.push(`the prefix "${prefix}" of ${which} is ignored`);
  }
  const backbone = groups.find(({ group }) => group === 'backbone');
  if (!names.some((name) => name.startsWith('backbone.')) && names.some(isOfBlock))
    lines.push('only a backbone: its tensors load into backbone.*');
  else if (backbone?.unknown.length === 0)
    lines.push(`${backbone.tensors} tensors of the backbone, all with names of the model`);
  if (keyBiases.size > 0)
    lines.push(
      `left out: ${countOf(keyBiases.size, 'key bias', 'key biases')}, which the model does not have`,
    );
  for (const group of groups) lines.push(...describeUnknown(group));
  const head = names.filter(isHead).length;
  if (head > 0) lines.push(`${head} tensors of the head, which --no-head leaves out`);
  return lines;
}

/** Tensors of a group that do not load because of their names. */
function describeUnknown({ group, tensors, known, unknown }: NamedGroup): string[] {
  if (unknown.length === 0) return [];
  const others = tensors - known;
  return [
    `${group}: ${known} of the file's ${tensors} tensors have names of the model`,
    `${group}: ${others} ${others === 1 ? 'has a name' : 'have names'} that the model does not have: ${firstNames(unknown, MAX_NAMES)}`,
  ];
}

function describeOptimizer(value: PyValue | undefined): OptimizerDescription | null {
  if (!(value instanceof Map)) return null;
  const [groups, state] = [value.get('param_groups'), value.get('state')];
  if (!Array.isArray(groups) || !(state instanceof Map)) return null;
  const [first] = groups;
  const has = (name: string) => first instanceof Map && first.has(name);
  let method = 'unknown';
  if (has('momentum')) method = 'SGD';
  // Before PyTorch 2.7 both are saved in the same form.
  else if (has('betas') && has('decoupled_weight_decay')) {
    method = first.get('decoupled_weight_decay') === true ? 'AdamW' : 'Adam';
  } else if (has('betas')) method = 'Adam or AdamW';
  return { method, groups: groups.length, states: state.size };
}

function describeScheduler(value: PyValue | undefined): SchedulerDescription | null {
  if (!(value instanceof Map) || !value.has('last_epoch')) return null;
  const schedule = value.has('milestones')
    ? 'WarmupMultiStepLR'
    : value.has('max_iters')
      ? 'HalfPeriodCosStepLR'
      : 'unknown';
  return { schedule, position: value.get('last_epoch') ?? null };
}

const MAX_TEXT = 60;
const MAX_ENTRIES = 8;
/** Unknown names that a description lists. */
export const MAX_NAMES = 8;

/** A value in a few words. Small dicts of plain values are written out. */
function inWords(value: PyValue): string {
  if (value === null || typeof value !== 'object') return scalarText(value);
  if (isHostTensor(value)) return `a ${value.dtype} tensor [${value.shape.join(', ')}]`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof PyOpaque) return `an object of class ${value.className}`;
  if (value instanceof Map) {
    const entries = [...value];
    const plain = entries.every(([, item]) => item === null || typeof item !== 'object');
    if (entries.length > MAX_ENTRIES || !plain) return `a dict of ${entries.length}`;
    return `{${entries.map(([key, item]) => `${String(key)}: ${scalarText(item)}`).join(', ')}}`;
  }
  const items = value instanceof PyTuple ? value.items : (value as readonly PyValue[]);
  return `a ${value instanceof PyTuple ? 'tuple' : 'list'} of ${items.length}`;
}

function scalarText(value: PyValue): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

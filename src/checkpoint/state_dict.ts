/** @file Finds the state dict, a dictionary of tensors by name, in the value of a weight file. */
import { CheckpointError } from '../errors.js';
import { type HostTensor, isHostTensor } from '../formats/host_tensor.js';
import { NumpyArray } from '../formats/numpy/array.js';
import { namedTensors } from '../formats/pickle/walk_values.js';
import { type PyDict, PyOpaque, PyTuple, type PyValue } from '../formats/python/values.js';
import { countOf, firstNames, printable } from '../util/text.js';
import { type Layout, layoutOf, plainName } from './origins/layout.js';
import { stateOfModule } from './whole_module.js';

/** A file with several state dicts, of which the user must choose one. */
export class AmbiguousWeightsError extends CheckpointError {
  constructor(
    message: string,
    readonly candidates: readonly Candidate[],
  ) {
    super(message);
  }
}

/** A readable file without weights. */
export class NoWeightsError extends CheckpointError {}

/** A dictionary of tensors in a file, or a part of one whose names share a prefix. */
export interface Candidate {
  /** The keys that lead to it, with dots between them, and the prefix of its names; empty for the file's whole value. */
  readonly key: string;
  readonly tensors: number;
}

/** The state dict of a file. */
export interface StateDict extends Candidate {
  /** Tensors by name; entries that are not tensors are null. */
  readonly state: ReadonlyMap<string, HostTensor | null>;
  /** The dictionary of the file that holds them. */
  readonly dict: PyDict;
  /** The values of the file that lead to it, the outermost first. */
  readonly parents: readonly PyValue[];
  /** Everything that could have been chosen, with this one. */
  readonly candidates: readonly Candidate[];
}

/** Which state dict to take, if a file has several. */
export interface Choice {
  /** The key of a candidate, or a prefix of names; empty for no choice. */
  readonly key: string;
  /** The option that makes the choice, for messages. */
  readonly option: string;
}

const NO_CHOICE: Choice = { key: '', option: 'MODEL.WEIGHT_KEY' };

/**
 * What the official programs take first: STMixer and VideoMAE `model`, VideoMAE V2 `module`, OpenMMLab and Lightning
 * `state_dict`, PySlowFast `model_state` and, in files of Caffe2, `blobs`.
 */
const MODEL_KEYS = ['model', 'module', 'state_dict', 'model_state', 'blobs'];

/** Keys of what trainers save besides the weights. */
const NOT_WEIGHTS = /optim|sched|scaler|callbacks|(^|_)rng|^(amp|loops|stmixer|stmixer_model)$/i;

const MAX_DEPTH = 8;

/** Dictionaries that are searched. */
const MAX_DICTS = 10_000;

/** A dictionary with tensors, and what is known of its names. */
interface Found extends StateDict {
  readonly layout: Layout;
}

/**
 * Finds the state dict in the value of a weight file, at any depth. Throws NoWeightsError if no dictionary holds tensors,
 * CheckpointError if the choice names none, and AmbiguousWeightsError if there are several and none has a key of MODEL_KEYS.
 */
export function findStateDict(path: string, value: PyValue, choice: Choice = NO_CHOICE): StateDict {
  const found = searched(value, choice);
  const parts = found.flatMap(partsOf);
  const candidates = parts.map(({ key, tensors }) => ({ key, tensors }));
  if (parts.length === 0) throw noWeights(path, value);
  if (choice.key !== '') {
    const chosen = parts.find(({ key }) => key === choice.key) ?? underPrefix(found, choice.key);
    if (chosen) return { ...chosen, candidates };
    throw new CheckpointError(
      `${path}: has no tensors under "${printable(choice.key)}" (${choice.option}); it holds ${listed(candidates)}`,
    );
  }
  const likely = likelyOnes(parts);
  const preferred = MODEL_KEYS.flatMap((name) => likely.filter(({ key }) => key === name))[0];
  if (preferred) return { ...preferred, candidates };
  const isWhole = ({ dict, state }: Found) => dict === likely[0].dict && state.size === dict.size;
  if (likely.length === 1 || likely.every(isWhole)) return { ...likely[0], candidates };
  const [{ key: first }] = likely.filter(({ key }) => key !== '');
  throw new AmbiguousWeightsError(
    `${path}: holds several sets of weights: ${listed(likely)}. Choose one, for example with ${choice.option} ${printable(first)}`,
    likely,
  );
}

/** The dictionaries with tensors; those of trainers only if they are asked for, or have names of a video transformer. */
function searched(value: PyValue, choice: Choice): Found[] {
  const found = dictsWithTensors(value, (key) => NOT_WEIGHTS.test(key) && key !== choice.key.split('.')[0]);
  if (found.length > 0) return found;
  return dictsWithTensors(value, () => false).filter(({ layout }) => layout.known > 0);
}

/** Keys of averaged weights, e.g. `model_ema`, `params_ema`, `ema_state_dict`, `swa`. */
const AVERAGED = /(^|[._-])(ema|swa|averaged?|averages)([._-]|$)/i;

/**
 * A sentence about averaged weights beside the chosen ones, and how to choose them; null if there are none, or if they are the
 * chosen ones. OpenMMLab's trainers save the averaged weights as `state_dict` and the others as `ema_state_dict`.
 */
export function averagesBeside(content: PyValue, { key, candidates }: StateDict): string | null {
  const average = candidates.find((other) => AVERAGED.test(other.key));
  if (average === undefined || AVERAGED.test(key)) return null;
  const name = printable(average.key);
  const isSwapped = key === 'state_dict' && content instanceof Map && content.has('message_hub');
  const meaning = isSwapped
    ? `"${name}" (${countOf(average.tensors, 'tensor')}) holds the weights before averaging, as OpenMMLab saves them`
    : `"${name}" holds averaged weights (EMA), ${countOf(average.tensors, 'tensor')}`;
  return `the weights under "${printable(key)}" are loaded; ${meaning}. To load those instead, add MODEL.WEIGHT_KEY ${name}`;
}

/** Those whose names are most often those of a video transformer; all if no name is known. */
function likelyOnes(found: readonly Found[]): readonly Found[] {
  const most = Math.max(...found.map(({ layout }) => layout.known));
  return found.filter(({ layout }) => 2 * layout.known >= most);
}

/** Candidates with their numbers of tensors, the largest first. */
export function listed(candidates: readonly Candidate[]): string {
  const MAX = 8;
  const shown = candidates
    .toSorted((a, b) => b.tensors - a.tensors)
    .slice(0, MAX)
    .map(({ key, tensors }) => `${key === '' ? 'no key' : printable(key)} (${countOf(tensors, 'tensor')})`);
  return shown.join(', ') + (candidates.length > MAX ? `, … (${candidates.length} in all)` : '');
}

/** All dictionaries with tensors, the outermost first. */
function dictsWithTensors(value: PyValue, isLeftOut: (key: string) => boolean): Found[] {
  const found: Found[] = [];
  let level: Place[] = [{ key: '', value, parents: [] }];
  const seen = new Set<PyDict>();
  const known = new Map<PyValue, PyDict>();
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: Place[] = [];
    for (const place of level) {
      const dict = known.get(place.value) ?? dictOf(place.value);
      if (dict === null || seen.size > MAX_DICTS) continue;
      const isNew = !seen.has(dict);
      seen.add(dict);
      known.set(place.value, dict);
      if (itemsOf(place.value) === null && [...dict.values()].some(isHostTensor))
        found.push(foundAt(place, dict));
      if (isNew) next.push(...childrenOf(place, dict, isLeftOut));
    }
    level = next;
  }
  return found;
}

interface Place extends Pick<StateDict, 'key' | 'parents'> {
  readonly value: PyValue;
}

function childrenOf(
  { key, value, parents }: Place,
  dict: PyDict,
  isLeftOut: (key: string) => boolean,
): Place[] {
  const start = key === '' ? '' : `${key}.`;
  return [...dict].flatMap(([name, child]) => {
    if (!holdsMore(child) || (typeof name === 'string' && isLeftOut(name))) return [];
    return [{ key: start + String(name), value: child, parents: [...parents, value] }];
  });
}

/** A dictionary, a list by its numbers, the weights of a network, or the attributes of another object; else null. */
function dictOf(value: PyValue): PyDict | null {
  if (value instanceof Map) return value;
  const items = itemsOf(value);
  if (items !== null) return new Map(items.map((item, i) => [String(i), item]));
  if (!(value instanceof PyOpaque)) return null;
  if (value.contents instanceof Map) return value.contents;
  return stateOfModule(value) ?? (value.state instanceof Map ? value.state : null);
}

/** The items of a list or a tuple; null for anything else. */
function itemsOf(value: PyValue): readonly PyValue[] | null {
  if (value instanceof PyTuple) return value.items;
  return Array.isArray(value) ? (value as PyValue[]) : null;
}

function holdsMore(value: PyValue): boolean {
  return typeof value === 'object' && value !== null && !isHostTensor(value);
}

function foundAt({ key, value, parents }: Place, dict: PyDict): Found {
  const state = new Map<string, HostTensor | null>();
  for (const [name, tensor] of dict) state.set(String(name), isHostTensor(tensor) ? tensor : null);
  return withCounts({ key, state, dict, parents: value === dict ? parents : [...parents, value] });
}

function withCounts(part: Pick<Found, 'key' | 'state' | 'dict' | 'parents'>): Found {
  const names = [...part.state].flatMap(([name, tensor]) => (tensor ? [name] : []));
  return { ...part, tensors: names.length, layout: layoutOf(names), candidates: [] };
}

/** A dictionary, or its parts if it holds several networks under different prefixes. */
function partsOf(found: Found): Found[] {
  const { alternatives } = found.layout;
  if (alternatives.length === 0) return [found];
  return alternatives.map(({ prefix }) => partUnder(found, prefix));
}

function partUnder({ key, state, dict, parents }: Found, prefix: string): Found {
  const plain = Array.from(state, ([name, tensor]) => [plainName(name), tensor] as const);
  const ofPart = plain.filter(([name]) => name.startsWith(prefix));
  const name = prefix.replace(/\.$/, '');
  return withCounts({
    key: key === '' ? name : `${key}.${name}`,
    state: new Map(ofPart.map(([full, tensor]) => [full.slice(prefix.length), tensor])),
    dict,
    parents,
  });
}

/** The tensors whose keys and names begin with the words of a choice; null if there are none. */
function underPrefix(found: readonly Found[], wanted: string): Found | null {
  for (const candidate of found) {
    const start = candidate.key === '' ? '' : `${candidate.key}.`;
    if (!wanted.startsWith(start)) continue;
    const prefix = `${wanted.slice(start.length).replace(/\.$/, '')}.`;
    const part = partUnder(candidate, prefix);
    if (part.tensors > 0) return part;
  }
  return null;
}

function noWeights(path: string, value: PyValue): CheckpointError {
  const arrays = numpyArrays(value);
  if (arrays.length > 0) {
    return new NoWeightsError(
      `${path}: holds arrays of NumPy that are no tensors: ${firstNames(arrays)}. In Python, turn them into arrays of numbers, ` +
        'for example with astype("float32"), and write the file again',
    );
  }
  const object = [value, ...(value instanceof Map ? MODEL_KEYS.map((key) => value.get(key)) : [])].find(
    (candidate) => candidate instanceof PyOpaque,
  );
  if (object instanceof PyOpaque) {
    return new CheckpointError(
      `${path}: holds an object of class ${printable(object.className)} instead of weights; ` +
        'save its state_dict() with torch.save and load that file',
    );
  }
  const elsewhere = namedTensors(value);
  if (elsewhere.size > 0) {
    const places = firstNames([...elsewhere.keys()].map((name) => printable(name || 'the file itself')));
    return new NoWeightsError(
      `${path}: holds ${countOf(elsewhere.size, 'tensor')}, but no state dict, which is a dictionary of weights by name: ${places}`,
    );
  }
  const keys = value instanceof Map ? `; its keys are: ${firstNames([...value.keys()].map(String))}` : '';
  return new NoWeightsError(`${path}: holds no weights${keys}`);
}

/** The names of NumPy's arrays that no tensor can hold, with their elements, in a dictionary or one inside it. */
function numpyArrays(value: PyValue): string[] {
  if (!(value instanceof Map)) return [];
  return [value, ...value.values()].flatMap((dict) =>
    dict instanceof Map
      ? [...dict].flatMap(([name, item]) =>
          item instanceof NumpyArray ? [printable(`${String(name)} (${item.elements})`)] : [],
        )
      : [],
  );
}

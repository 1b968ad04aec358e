/** @file Matches the tensors of a weight file with the weights of the model, and reports the result. */
import { CheckpointError } from '../errors.js';
import { type HostTensor, isHostTensor, sameShape } from '../formats/host_tensor.js';
import { type PyDict, PyOpaque, type PyValue } from '../formats/python/values.js';
import { firstNames } from '../util/text.js';
import { groupOf, isBuffer, isOptional } from './model_parts.js';

/** A readable file without weights. */
export class NoWeightsError extends CheckpointError {}

/** The weights of the model in PyTorch's order, with their shapes. */
export type ModelShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

export interface Mismatch {
  readonly name: string;
  readonly key: string;
  readonly expected: readonly number[];
  readonly found: readonly number[];
}

/** The result for each weight of the model (`name`) and each entry of the file (`key`). */
export interface LoadReport {
  /** Name in the model → key in the file. */
  readonly loaded: ReadonlyMap<string, string>;
  /** Names that the file does not have; these weights keep their values. */
  readonly missing: readonly string[];
  /** Keys that the model does not have. */
  readonly unexpected: readonly string[];
  /** Keys left out because they belong to the head. */
  readonly skipped: readonly string[];
  readonly mismatched: readonly Mismatch[];
}

/** Parts of the model that `noHead` leaves out: STMixer's head, and the name the official code looks for. */
const HEAD_PARTS = ['stm_head', 'roi_heads'];

/** Keys under which trainers put the model's state dict: ours and the official one, VideoMAE V2, OpenMMLab. */
const MODEL_KEYS = ['model', 'module', 'state_dict'];

/** The key of the state dict in a weight file; null if the file's value is the state dict. */
export function stateDictKey(value: PyValue): string | null {
  if (!(value instanceof Map)) return null;
  const isModel = (candidate?: PyValue) => candidate instanceof Map || candidate instanceof PyOpaque;
  return MODEL_KEYS.find((key) => isModel(value.get(key))) ?? null;
}

/**
 * The state dict in the value of a weight file: under one of MODEL_KEYS, or the value itself. Entries that are not tensors
 * are null. Throws CheckpointError if there are no tensors.
 */
export function findStateDict(path: string, value: PyValue): Map<string, HostTensor | null> {
  const key = stateDictKey(value);
  const dict = key === null ? value : (value as PyDict).get(key)!;
  if (dict instanceof PyOpaque) {
    throw new CheckpointError(
      `${path}: holds an object of class ${dict.className} instead of weights; ` +
        'save its state_dict() with torch.save and load that file',
    );
  }
  const state = new Map<string, HostTensor | null>();
  if (dict instanceof Map) {
    for (const [key, tensor] of dict) state.set(String(key), isHostTensor(tensor) ? tensor : null);
  }
  if (![...state.values()].some(Boolean)) {
    const found = value instanceof Map ? `; its keys are: ${firstNames([...value.keys()].map(String))}` : '';
    throw new NoWeightsError(`${path}: holds no weights${found}`);
  }
  return state;
}

/**
 * The keys of a file by their plain names: without a `module.` before all of them (DistributedDataParallel), and without an
 * `encoder.` (VideoMAE's pre-training) unless there is a key without it.
 */
export function plainNames(keys: Iterable<string>): Map<string, string> {
  const all = [...keys];
  const parallel = all.every((key) => key.startsWith('module.'));
  const keyByName = new Map<string, string>();
  const encoderKeys = new Map<string, string>();
  for (const key of all) {
    const name = parallel ? key.slice('module.'.length) : key;
    keyByName.set(name, key);
    if (name.startsWith('encoder.')) encoderKeys.set(name.slice('encoder.'.length), key);
  }
  for (const [name, key] of encoderKeys) if (!keyByName.has(name)) keyByName.set(name, key);
  return keyByName;
}

/**
 * Finds for each weight of the model the longest key that equals its name or the end of its name after a dot, so the key
 * `blocks.0.norm1.weight` loads into `backbone.blocks.0.norm1.weight`. A prefix `module.` (DistributedDataParallel) or
 * `encoder.` (VideoMAE's pre-training) of the keys does not count.
 */
export function matchWeights(
  state: ReadonlyMap<string, HostTensor | null>,
  model: ModelShapes,
  noHead: boolean,
): LoadReport {
  const keys = [...state.keys()];
  const keyByName = plainNames(keys);

  const loaded = new Map<string, string>();
  const missing: string[] = [];
  const skipped = new Set<string>();
  const mismatched: Mismatch[] = [];
  const used = new Set<string>();
  for (const [name, { shape }] of model) {
    const key = longestSuffix(name, keyByName);
    if (noHead && isHead(name)) {
      if (key !== undefined) skipped.add(key);
      continue;
    }
    const tensor = key !== undefined && state.get(key);
    if (!tensor) {
      missing.push(name);
      continue;
    }
    used.add(key);
    if (sameShape(shape, tensor.shape)) loaded.set(name, key);
    else mismatched.push({ name, key, expected: shape, found: tensor.shape });
  }
  if (noHead) for (const key of keys) if (isHead(key)) skipped.add(key);
  for (const key of used) skipped.delete(key);
  const unexpected = keys.filter((key) => !used.has(key) && !skipped.has(key));
  return { loaded, missing, unexpected, skipped: keys.filter((key) => skipped.has(key)), mismatched };
}

/** A few lines for the log: the number of loaded weights, the first names of the others, and parts left out. */
export function summarizeReport(path: string, report: LoadReport): string {
  const { loaded, missing, unexpected, skipped } = report;
  const lines = [`loaded ${tensors(loaded.size)} from ${path}`];
  const renamed = [...loaded].filter(([name, key]) => name !== key);
  if (renamed.length > 0) {
    const [name, key] = renamed[0];
    lines.push(`  under other names: ${renamed.length} (${key} → ${name}${renamed.length > 1 ? ', …' : ''})`);
  }
  if (missing.length > 0) lines.push(`  not in the file: ${missing.length} (${firstNames(missing)})`);
  if (unexpected.length > 0)
    lines.push(`  not in the model: ${unexpected.length} (${firstNames(unexpected)})`);
  if (skipped.length > 0) lines.push(`  skipped, the head: ${skipped.length} (${firstNames(skipped)})`);
  lines.push(...absentParts(report).map((part) => `  ${part}`));
  return lines.join('\n');
}

/** Sentences on parts that the file leaves out, as official files may. */
function absentParts({ loaded, missing }: LoadReport): string[] {
  const begun = new Set(Array.from(loaded.keys(), groupOf));
  const groups = new Set(missing.filter((name) => !isBuffer(name)).map(groupOf));
  const absent = ['neck', 'head'].filter((group) => groups.has(group) && !begun.has(group));
  const are = absent.length > 1 ? 'are not in the file and start' : 'is not in the file and starts';
  const lines = absent.length > 0 ? [`the ${absent.join(' and the ')} ${are} at random`] : [];
  if (begun.has('backbone') && missing.some(isOptional))
    lines.push('backbone.norm is not in the file and starts as ones and zeros');
  return lines;
}

/** The error message for weights of other shapes. `noHeadFlag` is the flag that leaves the head out, if there is one. */
export function describeMismatch(
  path: string,
  { mismatched }: LoadReport,
  noHeadFlag: string | null,
): string {
  const some = mismatched
    .slice(0, 4)
    .map(({ name, expected, found }) => `${name} is [${found}] in the file and [${expected}] in the model`);
  const rest = mismatched.length > some.length ? ` (and ${mismatched.length - some.length} more)` : '';
  const sizes = 'Set the sizes in the config (ViT.*, MODEL.STM.*) to those the weights were trained with';
  const advice =
    noHeadFlag !== null && mismatched.every(({ name }) => isHead(name))
      ? `Use ${noHeadFlag} to load everything but the head, for instance for another number of action classes`
      : sizes;
  const count = tensors(mismatched.length);
  return `${path}: ${count} with another shape than in the model: ${some.join('; ')}${rest}. ${advice}.`;
}

function longestSuffix(name: string, keyByName: ReadonlyMap<string, string>): string | undefined {
  for (let start = 0; ; ) {
    const key = keyByName.get(name.slice(start));
    if (key !== undefined) return key;
    const dot = name.indexOf('.', start);
    if (dot < 0) return undefined;
    start = dot + 1;
  }
}

export function isHead(name: string): boolean {
  return name.split('.').some((part) => HEAD_PARTS.includes(part));
}

function tensors(count: number): string {
  return count === 1 ? '1 tensor' : `${count} tensors`;
}

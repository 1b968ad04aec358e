/** @file Converts weight files to another format or float type, or to the weights alone. */
import { statSync } from 'node:fs';
import { ConfigError } from '../errors.js';
import { checkOutputFile } from '../files/output_paths.js';
import { sameFiles } from '../files/same_files.js';
import { CastTensor, type FloatType, isFloat } from '../formats/float_types.js';
import { byteLengthOf, type HostTensor, isHostTensor } from '../formats/host_tensor.js';
import { firstOpaque } from '../formats/pickle/walk_values.js';
import { writePth } from '../formats/pth/pth_writer.js';
import type { PyDict, PyValue } from '../formats/python/values.js';
import { writeSafetensors } from '../formats/safetensors/safetensors_writer.js';
import { openWeightFile, weightFormatOf } from '../formats/weight_file.js';
import { MODEL_INFO, metadataOf, modelInfoOf, packModelInfo } from './model_info.js';
import { officialName } from './model_parts.js';
import { describeOrigin, keyBiasWarning, type NamedWeights, nameWeights } from './origins/named_weights.js';
import { findStateDict, type StateDict } from './state_dict.js';

export interface ConvertOptions {
  /** The float type of the model's weights. Everything else, such as the optimizer's state, keeps its type. */
  readonly dtype: 'keep' | FloatType;
  readonly weightsOnly: boolean;
  /** Whether the tensors keep their names or get this model's, which also splits and joins them; by default they keep them. */
  readonly names?: 'keep' | 'official';
  /** Which weights to take if the file holds several; by default the file must leave no choice. */
  readonly weightKey?: string;
}

export interface ConvertReport {
  readonly tensors: number;
  /** Bytes of the model's tensors. */
  readonly weightBytes: { readonly before: number; readonly after: number };
  /** Bytes of the files. */
  readonly fileBytes: { readonly before: number; readonly after: number };
  /** Parts of the old file that the new one does not have. */
  readonly leftOut: readonly string[];
  /** Tensors in which finite numbers became infinite. */
  readonly overflowed: readonly string[];
  /** What the names were before they became this model's; null if they stayed. */
  readonly origin: string | null;
  /** Sentences about tensors that are not used as they are. */
  readonly warnings: readonly string[];
}

const FORMATS: Record<string, 'pth' | 'safetensors'> = { pth: 'pth', pt: 'pth', safetensors: 'safetensors' };

/**
 * Writes the weight file `from` as `to`, in the format of its extension, with one tensor in memory at a time. Replaces `to` as
 * a whole. Throws ConfigError for an unknown extension or if both are one file, and CheckpointError if `from` cannot be read
 * or `to` cannot be written.
 */
export async function convertWeightFile(
  from: string,
  to: string,
  options: ConvertOptions,
): Promise<ConvertReport> {
  const format = FORMATS[/\.([^./\\]+)$/.exec(to)?.[1].toLowerCase() ?? ''];
  if (!format) throw new ConfigError(`${to}: the new file's name has to end in .pth, .pt or .safetensors`);
  if (sameFiles([from, to]).length > 0) {
    throw new ConfigError(`${to}: is the file to convert itself; give the new file another name`);
  }
  const file = openWeightFile(from, { keepFloats: true });
  const { value: content } = file;
  const found = findStateDict(from, content, { key: options.weightKey ?? '', option: '--weight-key' });
  const named = options.names === 'official' ? nameWeights(found.state) : null;
  const state = named === null ? found.state : officialNames(named);
  checkOutputFile(to, '<out>');
  const weights = castAll(state, options.dtype);
  const info = modelInfoOf(file);
  const isWhole = named === null && holdsAll(found);
  const leftOut: string[] = [];
  if (format === 'safetensors') {
    leftOut.push(...besidesWeights(content, found));
    await writeSafetensors(to, weights, metadataOf(info));
  } else if (options.weightsOnly || !isWhole || weightFormatOf(from) === 'safetensors') {
    leftOut.push(...besidesWeights(content, found));
    const model = new Map<PyValue, PyValue>(weights);
    await writePth(to, { model, ...(info && { [MODEL_INFO]: packModelInfo(info) }) });
  } else await writePth(to, withWeights(content as PyDict, found, weights, leftOut));

  const overflowed = [...weights].filter(([, tensor]) => tensor instanceof CastTensor && tensor.overflowed);
  return {
    tensors: weights.size,
    weightBytes: { before: bytesOf(found.state.values()), after: bytesOf(weights.values()) },
    fileBytes: { before: statSync(from).size, after: statSync(to).size },
    leftOut,
    overflowed: overflowed.map(([name]) => name),
    origin: named && describeOrigin(named),
    warnings: named === null ? [] : [keyBiasWarning(named) ?? []].flat(),
  };
}

/** Whether the state dict is a whole dictionary inside dictionaries, so that a copy of the file can hold another one. */
function holdsAll({ key, state, dict, parents }: StateDict): boolean {
  const isDict = (value: PyValue) => value instanceof Map;
  const isItself = key === '' || [...(parents.at(-1) as PyDict).values()].includes(dict);
  return parents.every(isDict) && isItself && state.size === dict.size;
}

/** The tensors under the names that they have in a checkpoint of this model. Others keep their names. */
function officialNames({ state, keyByName }: NamedWeights): Map<string, HostTensor | null> {
  return new Map(Array.from(keyByName, ([name, key]) => [officialName(name), state.get(key) ?? null]));
}

/** Casts the weights. Names that share a tensor share the cast tensor, too. */
function castAll(
  state: ReadonlyMap<string, HostTensor | null>,
  dtype: ConvertOptions['dtype'],
): Map<string, HostTensor> {
  const casts = new Map<HostTensor, HostTensor>();
  const cast = (tensor: HostTensor) => {
    if (dtype === 'keep' || tensor.dtype === dtype || !isFloat(tensor)) return tensor;
    const known = casts.get(tensor) ?? new CastTensor(tensor, dtype);
    casts.set(tensor, known);
    return known;
  };
  const weights = new Map<string, HostTensor>();
  for (const [name, tensor] of state) if (tensor) weights.set(name, cast(tensor));
  return weights;
}

/** Returns the names of everything in a file except the tensors of its state dict and what it says about its model. */
function besidesWeights(content: PyValue, { key, state, dict, parents }: StateDict): string[] {
  const prefix = key === '' ? '' : `${key}.`;
  const others = [...state].filter(([, tensor]) => tensor === null).map(([name]) => prefix + name);
  if (content === dict || !(content instanceof Map)) return others;
  const isOnWay = (value: PyValue) => value === dict || parents.includes(value);
  const outside = [...content].filter(([name, value]) => name !== MODEL_INFO && !isOnWay(value));
  return [...outside.map(([name]) => String(name)), ...others];
}

/** Copies the content with other weights. Adds objects that cannot be written to `leftOut` instead. */
function withWeights(
  content: PyDict,
  { dict, parents }: StateDict,
  weights: ReadonlyMap<string, HostTensor>,
  leftOut: string[],
): PyDict {
  const copy = (source: PyDict, prefix: string): PyDict => {
    const copied: PyDict = new Map();
    for (const [name, value] of source) {
      const changed = changedValue(source, name, value, `${prefix}${String(name)}.`);
      const object = firstOpaque(changed);
      if (object === null) copied.set(name, changed);
      else leftOut.push(`${prefix}${String(name)} (an object of class ${object.className})`);
    }
    return copied;
  };
  const isOnWay = (value: PyValue): value is PyDict => value === dict || parents.includes(value);
  const changedValue = (source: PyDict, name: PyValue, value: PyValue, prefix: string): PyValue => {
    if (source === dict) return isHostTensor(value) ? weights.get(String(name))! : value;
    return isOnWay(value) ? copy(value, prefix) : value;
  };
  return copy(content, '');
}

function bytesOf(tensors: Iterable<HostTensor | null>): number {
  let bytes = 0;
  for (const tensor of tensors) if (tensor) bytes += byteLengthOf(tensor);
  return bytes;
}

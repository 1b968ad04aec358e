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
import { readWeightFile, weightFormatOf } from '../formats/weight_file.js';
import { findStateDict, stateDictKey } from './weights.js';

export interface ConvertOptions {
  /** The float type of the model's weights. Everything else, such as the optimizer's state, keeps its type. */
  readonly dtype: 'keep' | FloatType;
  readonly weightsOnly: boolean;
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
}

const FORMATS: Record<string, 'pth' | 'safetensors'> = { pth: 'pth', pt: 'pth', safetensors: 'safetensors' };

/**
 * Writes the weight file `from` as `to`, in the format of its extension, with one tensor in memory at a time and under the same
 * names. Replaces `to` as a whole. Throws ConfigError for an unknown extension or if both are one file, and CheckpointError if
 * `from` cannot be read or `to` cannot be written.
 */
export async function convertWeightFile(
  from: string,
  to: string,
  { dtype, weightsOnly }: ConvertOptions,
): Promise<ConvertReport> {
  const format = FORMATS[/\.([^./\\]+)$/.exec(to)?.[1].toLowerCase() ?? ''];
  if (!format) throw new ConfigError(`${to}: the new file's name has to end in .pth, .pt or .safetensors`);
  if (sameFiles([from, to]).length > 0) {
    throw new ConfigError(`${to}: is the file to convert itself; give the new file another name`);
  }
  const content = readWeightFile(from, { keepFloats: true });
  const state = findStateDict(from, content);
  checkOutputFile(to, '<out>');
  const weights = castAll(state, dtype);
  const leftOut: string[] = [];
  if (format === 'safetensors' || weightsOnly || weightFormatOf(from) === 'safetensors') {
    leftOut.push(...besidesWeights(content, state));
    if (format === 'safetensors') await writeSafetensors(to, weights);
    else await writePth(to, { model: new Map<PyValue, PyValue>(weights) });
  } else await writePth(to, withWeights(content as PyDict, weights, leftOut));

  const overflowed = [...weights].filter(([, tensor]) => tensor instanceof CastTensor && tensor.overflowed);
  return {
    tensors: weights.size,
    weightBytes: { before: bytesOf(state.values()), after: bytesOf(weights.values()) },
    fileBytes: { before: statSync(from).size, after: statSync(to).size },
    leftOut,
    overflowed: overflowed.map(([name]) => name),
  };
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

/** Returns the names of everything in a file except the tensors of its state dict. */
function besidesWeights(content: PyValue, state: ReadonlyMap<string, HostTensor | null>): string[] {
  const key = stateDictKey(content);
  const prefix = key === null ? '' : `${key}.`;
  const others = [...state].filter(([, tensor]) => tensor === null).map(([name]) => prefix + name);
  const outside = key === null ? [] : [...(content as PyDict).keys()].filter((name) => name !== key);
  return [...outside.map(String), ...others];
}

/** Copies the content with other weights. Adds objects that cannot be written to `leftOut` instead. */
function withWeights(content: PyDict, weights: ReadonlyMap<string, HostTensor>, leftOut: string[]): PyDict {
  const key = stateDictKey(content);
  const copy = (dict: PyDict, prefix: string, change: (name: PyValue, value: PyValue) => PyValue) => {
    const copied: PyDict = new Map();
    for (const [name, value] of dict) {
      const changed = change(name, value);
      const object = firstOpaque(changed);
      if (object === null) copied.set(name, changed);
      else leftOut.push(`${prefix}${String(name)} (an object of class ${object.className})`);
    }
    return copied;
  };
  const cast = (name: PyValue, value: PyValue) => (isHostTensor(value) ? weights.get(String(name))! : value);
  if (key === null) return copy(content, '', cast);
  const model = copy(content.get(key) as PyDict, `${key}.`, cast);
  return copy(content, '', (name, value) => (name === key ? model : value));
}

function bytesOf(tensors: Iterable<HostTensor | null>): number {
  let bytes = 0;
  for (const tensor of tensors) if (tensor) bytes += byteLengthOf(tensor);
  return bytes;
}

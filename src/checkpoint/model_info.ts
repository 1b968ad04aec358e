/**
 * @file What a weight file says about its model under a key of its own: the settings to build it with and the class names.
 *
 * In .pth files the key is MODEL_INFO, with plain dicts, lists, texts and numbers; in .safetensors it is an entry of the
 * metadata, in JSON. PyTorch code ignores both.
 */
import type { StoredSettings } from '../config/index.js';
import { CheckpointError } from '../errors.js';
import { asCount, asDict, asList, asString } from '../formats/python/dict.js';
import { PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import { openWeightFile, type WeightFile } from '../formats/weight_file.js';

/** The key in .pth files. */
export const MODEL_INFO = 'stmixer_model';

/** The key in the metadata of .safetensors files. */
const METADATA_KEY = 'stmixer.model';

const VERSION = 1;

export interface ModelInfo {
  readonly settings: StoredSettings;
  /** Action id → name; null if the weights were saved without a label map. */
  readonly classNames: ReadonlyMap<number, string> | null;
}

/** The value for the key in a .pth file. */
export function packModelInfo({ settings, classNames }: ModelInfo): PyValue {
  return new Map<PyValue, PyValue>([
    ['version', VERSION],
    ['settings', new Map(settings) as Map<PyValue, PyValue>],
    ['class_names', classNames && new Map<PyValue, PyValue>(classNames)],
  ]);
}

/** The metadata of a .safetensors file. */
export function metadataOf(info: ModelInfo | null): Record<string, string> {
  if (info === null) return {};
  const { settings, classNames } = info;
  const value = {
    version: VERSION,
    settings: Object.fromEntries(settings),
    class_names: classNames && Object.fromEntries(classNames),
  };
  return { [METADATA_KEY]: JSON.stringify(value) };
}

/** What a weight file says about its model; null if it says nothing. Throws CheckpointError if that cannot be understood. */
export function modelInfoOf({ path, value, metadata }: WeightFile): ModelInfo | null {
  const fromPickle = value instanceof Map ? value.get(MODEL_INFO) : undefined;
  try {
    const packed = fromPickle ?? fromMetadata(metadata);
    return packed === null ? null : parseInfo(packed);
  } catch (error) {
    if (!(error instanceof CheckpointError || error instanceof SyntaxError)) throw error;
    throw new CheckpointError(
      `${path}: its description of the model (${MODEL_INFO}) cannot be read: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

/** What a weight file says about its model; null if it says nothing. Throws CheckpointError if it cannot be read. */
export function readModelInfo(path: string): ModelInfo | null {
  return modelInfoOf(openWeightFile(path));
}

function fromMetadata(metadata: WeightFile['metadata']): PyValue {
  const text = metadata.get(METADATA_KEY);
  return text === undefined ? null : (JSON.parse(text) as PyValue);
}

function parseInfo(value: PyValue): ModelInfo {
  const fields = asDict(value, MODEL_INFO);
  const settings = new Map<string, unknown>();
  for (const [key, setting] of asDict(fields.get('settings'), `${MODEL_INFO}.settings`))
    settings.set(asString(key, `${MODEL_INFO}.settings`), plainSetting(setting));
  const names = fields.get('class_names') ?? null;
  if (names === null) return { settings, classNames: null };
  const what = `${MODEL_INFO}.class_names`;
  const classNames = new Map<number, string>();
  for (const [id, name] of asDict(names, what))
    classNames.set(asCount(typeof id === 'string' ? Number(id) : id, what), asString(name, what));
  return { settings, classNames };
}

/** A setting as JavaScript has it. */
function plainSetting(value: PyValue): unknown {
  if (value instanceof PyFloat) return value.value;
  if (Array.isArray(value) || value instanceof PyTuple)
    return asList(value, `${MODEL_INFO}.settings`).map(plainSetting);
  if (value === null || typeof value !== 'object') return value;
  throw new CheckpointError(`the checkpoint's ${MODEL_INFO}.settings: expected plain values`);
}

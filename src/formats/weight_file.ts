/** @file Opens a weight file of any format, and checks a whole one for damage. */
import { CheckpointError } from '../errors.js';
import { FileSource } from '../files/file_source.js';
import { firstNames } from '../util/text.js';
import { crc32OfRange, DamagedDataError } from './checksum.js';
import { piecesOf } from './host_tensor.js';
import { looksLikePickle, readPickleFrom } from './pickle/pickle_file.js';
import type { ReadOptions } from './pickle/unpickler.js';
import { namedTensors } from './pickle/walk_values.js';
import { looksLegacy, readPthFrom } from './pth/pth_reader.js';
import { storageKeyOf } from './pth/stored_tensor.js';
import type { PyValue } from './python/values.js';
import { looksLikeSafetensors, openSafetensorsFrom } from './safetensors/safetensors_reader.js';
import { findEntryData, looksLikeZip, readZipDirectory } from './zip/zip_reader.js';

/** A format of weight files. The legacy one is PyTorch's before 1.6; a pickle is a file of Python without PyTorch. */
export type WeightFormat = 'pth' | 'legacy pth' | 'safetensors' | 'pickle';

/** Returns the format of a file by its first bytes. An unknown one counts as legacy. */
export function weightFormatOf(path: string): WeightFormat {
  return formatOf(new FileSource(path));
}

function formatOf(file: FileSource): WeightFormat {
  return file.hold(() => {
    if (looksLikeSafetensors(file)) return 'safetensors';
    if (looksLikeZip(file)) return 'pth';
    return looksLikePickle(file) && !looksLegacy(file) ? 'pickle' : 'legacy pth';
  });
}

/** A weight file whose tensors read their data when they are asked for it. */
export interface WeightFile {
  readonly path: string;
  readonly value: PyValue;
  /** The metadata of a safetensors file; empty for a file of another format, which has none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Opens a weight file. Its first bytes decide on the format, and not its name. Throws CheckpointError, as `readPth` does. */
export function openWeightFile(path: string, options: ReadOptions = {}): WeightFile {
  const file = new FileSource(path);
  return file.hold(() => {
    const format = formatOf(file);
    if (format !== 'safetensors')
      return { path, value: pickledValue(file, format, options), metadata: new Map() };
    const { tensors, metadata } = openSafetensorsFrom(file);
    return { path, value: new Map(tensors), metadata };
  });
}

function pickledValue(file: FileSource, format: WeightFormat, options: ReadOptions = {}): PyValue {
  return format === 'pickle' ? readPickleFrom(file, options) : readPthFrom(file, options);
}

/** The value of a weight file. Throws CheckpointError, as `readPth` does. */
export function readWeightFile(path: string, options: ReadOptions = {}): PyValue {
  return openWeightFile(path, options).value;
}

/** The checksums of a file's parts, which are entries or tensors. */
export interface ChecksumReport {
  /** Parts whose checksum is right. */
  readonly good: number;
  /** Parts without a checksum. */
  readonly unchecked: number;
  /** Names of the parts whose checksum is wrong. */
  readonly damaged: readonly string[];
}

/**
 * Reads a weight file once, piece by piece, and compares every checksum in it. Throws CheckpointError if the file is cut
 * off or its structure is wrong.
 */
export function checkWeightFile(path: string): ChecksumReport {
  const file = new FileSource(path);
  return file.hold(() => {
    const format = formatOf(file);
    if (format === 'safetensors') return checkSafetensors(file);
    if (format === 'pth') return checkZip(file);
    return { good: 0, unchecked: namedTensors(pickledValue(file, format)).size, damaged: [] };
  });
}

/**
 * Reads a weight file once, in bounded memory. Throws CheckpointError, which names the file and the damage, if a checksum
 * is wrong, a part is missing or the structure is wrong.
 */
export function verifyWeightFile(path: string): void {
  const error = damageError(path, checkWeightFile(path));
  if (error) throw error;
}

/** Returns the error for the damage in a report; null if there is none. */
export function damageError(path: string, { damaged }: ChecksumReport): CheckpointError | null {
  if (damaged.length === 0) return null;
  const count = damaged.length > 3 ? ` (${damaged.length} in all)` : '';
  const what = firstNames(damaged) + count;
  return new CheckpointError(`${path}: damaged: not what its checksum says: ${what}`);
}

/** Checks every entry of the archive, even those without a tensor. Reports the data of a tensor under its name. */
function checkZip(file: FileSource): ChecksumReport {
  const names = new Map<string, string>();
  for (const [name, tensor] of namedTensors(readPthFrom(file))) {
    const key = storageKeyOf(tensor);
    if (key !== null && !names.has(key)) names.set(key, name);
  }
  const damaged: string[] = [];
  let good = 0;
  let unchecked = 0;
  for (const entry of readZipDirectory(file).values()) {
    const start = findEntryData(file, entry);
    if (entry.crc32 === 0 && entry.size > 0) unchecked++;
    else if (crc32OfRange(file, start, entry.size) === entry.crc32) good++;
    else damaged.push(names.get(entry.name.replace(/^[^/]+\/data\//, '')) ?? entry.name);
  }
  return { good, unchecked, damaged };
}

function checkSafetensors(file: FileSource): ChecksumReport {
  const { tensors, checked } = openSafetensorsFrom(file);
  if (!checked) return { good: 0, unchecked: tensors.size, damaged: [] };
  const damaged: string[] = [];
  for (const [name, tensor] of tensors) {
    try {
      for (const _ of piecesOf(tensor));
    } catch (error) {
      if (!(error instanceof DamagedDataError)) throw error;
      damaged.push(name);
    }
  }
  return { good: tensors.size - damaged.length, unchecked: 0, damaged };
}

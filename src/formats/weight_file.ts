/** @file Opening a weight file of either format, and looking through the whole of one for damage. */
import { CheckpointError } from '../errors.js';
import { FileSource } from '../files/file_source.js';
import { crc32OfRange, DamagedDataError } from './checksum.js';
import { piecesOf } from './host_tensor.js';
import { namedTensors } from './pickle/walk_values.js';
import { readPth } from './pth/pth_reader.js';
import { storageKeyOf } from './pth/torch_storage.js';
import type { PyValue } from './python/values.js';
import { looksLikeSafetensors, openSafetensors } from './safetensors/safetensors_reader.js';
import { findEntryData, looksLikeZip, readZipDirectory } from './zip/zip_reader.js';

/** The legacy format is PyTorch's before 1.6. */
export type WeightFormat = 'pth' | 'legacy pth' | 'safetensors';

/** Which format a file has, by its first bytes; what is none of them counts as legacy. */
export function weightFormatOf(path: string): WeightFormat {
  const file = new FileSource(path);
  if (looksLikeSafetensors(file)) return 'safetensors';
  return file.hold(() => looksLikeZip(file)) ? 'pth' : 'legacy pth';
}

/** The content of a weight file, .pth or .safetensors; which of them it is, its first bytes tell. See readPth. */
export function readWeightFile(path: string, keepFloats = false): PyValue {
  if (weightFormatOf(path) === 'safetensors') return new Map(openSafetensors(path).tensors);
  return readPth(path, keepFloats);
}

/** What reading a whole file said of its checksums, which are of parts of it: entries or tensors. */
export interface ChecksumReport {
  /** Parts whose checksum is right. */
  readonly good: number;
  /** Parts without a checksum. */
  readonly unchecked: number;
  /** Names of the parts whose checksum is wrong. */
  readonly damaged: readonly string[];
}

/**
 * Reads a weight file once, piece by piece, and compares every checksum in it. Throws CheckpointError where the file is
 * cut off or its structure is wrong.
 */
export function checkWeightFile(path: string): ChecksumReport {
  switch (weightFormatOf(path)) {
    case 'safetensors':
      return checkSafetensors(path);
    case 'pth':
      return checkZip(path);
    case 'legacy pth': {
      const tensors = namedTensors(readPth(path));
      return { good: 0, unchecked: tensors.size, damaged: [] };
    }
  }
}

/**
 * Reads a weight file once, in bounded memory, and throws CheckpointError, which names the file and what is damaged, if
 * a checksum is wrong, something is missing or the structure is wrong.
 */
export function verifyWeightFile(path: string): void {
  const error = damageError(path, checkWeightFile(path));
  if (error) throw error;
}

/** The error that says what a report found damaged; null where it found nothing. */
export function damageError(path: string, { damaged }: ChecksumReport): CheckpointError | null {
  if (damaged.length === 0) return null;
  const rest = damaged.length > 3 ? `, … (${damaged.length} in all)` : '';
  const some = damaged.slice(0, 3).join(', ') + rest;
  return new CheckpointError(`${path}: damaged: not what its checksum says: ${some}`);
}

/** Every entry of the archive, also those of no tensor; data of a tensor are named by it. */
function checkZip(path: string): ChecksumReport {
  const tensors = namedTensors(readPth(path));
  const names = new Map<string, string>();
  for (const [name, tensor] of tensors) {
    const key = storageKeyOf(tensor)!;
    if (!names.has(key)) names.set(key, name);
  }
  const file = new FileSource(path);
  return file.hold(() => {
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
  });
}

function checkSafetensors(path: string): ChecksumReport {
  const { tensors, checked } = openSafetensors(path);
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

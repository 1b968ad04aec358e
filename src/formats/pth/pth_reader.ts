/** @file Reads PyTorch's .pth files, in the zip format and the legacy one, without running any code of them. */
import { CheckpointError } from '../../errors.js';
import { FileSource } from '../../files/file_source.js';
import { ByteReader } from '../byte_reader.js';
import { crc32OfRange } from '../checksum.js';
import { PyGlobal } from '../pickle/globals.js';
import { type ReadOptions, unpickle } from '../pickle/unpickler.js';
import { PyTuple, type PyValue } from '../python/values.js';
import { looksLikeSafetensors } from '../safetensors/safetensors_reader.js';
import { isSize } from '../sizes.js';
import { TensorBudget } from '../tensor_budget.js';
import { findEntryData, looksLikeZip, readZipDirectory, type ZipEntry } from '../zip/zip_reader.js';
import { Storage, type StoragePlace, storageType } from './torch_storage.js';

const MAX_PICKLE_BYTES = 512 * 1024 * 1024;
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/**
 * Reads the value that `torch.save` wrote. Tensors read their data in `bytes()`, so a file of any size opens at once; it must
 * not change until then. Lists, dicts and tuples never contain themselves and nest at most MAX_NESTING deep. Throws
 * CheckpointError if the file is incomplete, damaged or no checkpoint.
 */
export function readPth(path: string, options: ReadOptions = {}): PyValue {
  return readPthFrom(new FileSource(path), options);
}

/** Reads an open file as `readPth` does. */
export function readPthFrom(file: FileSource, options: ReadOptions = {}): PyValue {
  return file.hold(() => {
    if (looksLikeZip(file)) return readZip(file, options);
    // A pickle of protocol 2 and up begins with 0x80, the magic number in text form with L.
    if (file.size > 0 && [0x80, 0x4c].includes(file.read(0, 1)[0])) return readLegacy(file, options);
    throw new CheckpointError(`${file.path}: is not a PyTorch checkpoint: ${describeContents(file)}`);
  });
}

/** The instruction for LEGACY_MAGIC, the first one of a legacy file after the protocol's number and perhaps a frame. */
const LEGACY_START = '\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19';
const FRAME = 0x95;

/** Whether a file begins as those of PyTorch before 1.6 with a protocol from 2 on. */
export function looksLegacy(file: FileSource): boolean {
  const start = file.read(0, Math.min(file.size, 32));
  return start[0] === 0x80 && start.toString('latin1').startsWith(LEGACY_START, start[2] === FRAME ? 11 : 2);
}

/** The pickle of an archive and the folder of its entries. Throws CheckpointError if torch.save did not write it. */
function findPickle(
  file: FileSource,
  entries: ReadonlyMap<string, ZipEntry>,
): { root: string; pickle: ZipEntry } {
  const [pickle, another] = [...entries.values()].filter(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (another) {
    throw new CheckpointError(`${file.path}: damaged: holds both ${pickle.name} and ${another.name}`);
  }
  if (!pickle) {
    throw new CheckpointError(
      `${file.path}: is a zip archive, but not one that torch.save wrote (no data.pkl in it); ` +
        'if a checkpoint is packed inside, unpack it first',
    );
  }
  const root = pickle.name.slice(0, -'data.pkl'.length);
  if (entries.has(`${root}constants.pkl`)) {
    throw new CheckpointError(
      `${file.path}: is a TorchScript program; save the model's state_dict() with torch.save instead`,
    );
  }
  const order = entries.get(`${root}byteorder`);
  if (order && order.size < 16 && readEntry(file, order).toString('latin1') !== 'little') {
    throw new CheckpointError(`${file.path}: was written on a big-endian machine, which cannot be read here`);
  }
  if (pickle.size > MAX_PICKLE_BYTES) {
    throw new CheckpointError(`${file.path}: damaged: its pickle claims ${pickle.size} bytes`);
  }
  return { root, pickle };
}

function readZip(file: FileSource, options: ReadOptions): PyValue {
  const entries = readZipDirectory(file);
  const { root, pickle } = findPickle(file, entries);
  const start = findEntryData(file, pickle);
  if (pickle.crc32 !== 0 && crc32OfRange(file, start, pickle.size) !== pickle.crc32) {
    throw new CheckpointError(`${file.path}: damaged: its pickle does not match its checksum`);
  }
  const reader = new ByteReader(file, start, pickle.size);
  const budget = new TensorBudget(file);
  const storages = new Map<string, Storage>();
  const load = (id: PyValue): PyValue => {
    const { className, key, length } = parseStorageId(id, reader);
    const known = storages.get(key);
    if (known) return known;
    const entry = entries.get(`${root}data/${key}`);
    if (!entry) return reader.fail(`the data of storage ${key} are missing`);
    const type = storageType(className);
    const place = placeOf(file, entry);
    const source = { file, budget, elementBytes: type?.bytes ?? 0, elementType: type?.dtype, place };
    const storage = new Storage(className, { key, length, source });
    if (storage.byteLength > entry.size) {
      reader.fail(`storage ${key} has ${entry.size} bytes instead of ${storage.byteLength}`);
    }
    storages.set(key, storage);
    return storage;
  };
  return unpickle(reader, load, options);
}

function readEntry(file: FileSource, entry: ZipEntry): Buffer {
  return file.read(findEntryData(file, entry), entry.size);
}

function placeOf(file: FileSource, entry: ZipEntry): () => StoragePlace {
  let place: StoragePlace | undefined;
  return () => {
    place ??= {
      offset: findEntryData(file, entry),
      length: entry.size,
      crc32: entry.crc32 === 0 ? null : entry.crc32,
    };
    return place;
  };
}

/**
 * Reads the format before PyTorch 1.6: five pickles (magic number, protocol, machine, the value, the keys of the storages),
 * then for each key its length and its data.
 */
function readLegacy(file: FileSource, options: ReadOptions): PyValue {
  const reader = new ByteReader(file, 0, file.size);
  const noStorages = (): never => reader.fail('storages where there should be none');
  if (unpickle(reader, noStorages) !== LEGACY_MAGIC) {
    throw new CheckpointError(`${file.path}: is a Python pickle, but not one that torch.save wrote`);
  }
  const protocol = unpickle(reader, noStorages);
  if (protocol !== LEGACY_PROTOCOL) reader.fail(`its legacy protocol is ${String(protocol)}`);
  const system = unpickle(reader, noStorages);
  if (system instanceof Map && system.get('little_endian') === false) {
    throw new CheckpointError(`${file.path}: was written on a big-endian machine, which cannot be read here`);
  }

  const budget = new TensorBudget(file);
  const storages = new Map<string, Storage>();
  const places = new Map<string, StoragePlace>();
  const load = (id: PyValue): PyValue => {
    // Very old files save classes with their source code: ('module', class, file name, source).
    if (id instanceof PyTuple && id.items[0] === 'module' && id.items.length > 1) return id.items[1];
    const { className, key, length, view } = parseStorageId(id, reader);
    let storage = storages.get(key);
    if (!storage) {
      const type = storageType(className) ?? reader.fail(`storages of type ${className} are unknown`);
      const place = () => places.get(key)!;
      const source = { file, budget, elementBytes: type.bytes, elementType: type.dtype, place };
      storage = new Storage(className, { key, length, source });
      if (storage.byteLength > file.size) reader.fail(`storage ${key} claims ${storage.byteLength} bytes`);
      storages.set(key, storage);
    }
    if (view === null) return storage;
    const [, start, viewLength] = view instanceof PyTuple ? view.items : [];
    if (!isSize(start) || !isSize(viewLength) || start + viewLength > storage.length) {
      return reader.fail(`a view of storage ${key} lies outside it`);
    }
    return new Storage(className, { key, length: viewLength, source: storage.source, start });
  };
  const value = unpickle(reader, load, options);
  findPlaces(reader, storages, places);
  return value;
}

/** Reads the keys of the storages, and the length of the data of each, from the end of a legacy file. */
function findPlaces(
  reader: ByteReader,
  storages: ReadonlyMap<string, Storage>,
  places: Map<string, StoragePlace>,
): void {
  const keys = unpickle(reader, () => reader.fail('storages where there should be none'));
  if (!Array.isArray(keys)) reader.fail('the list of its storages is missing');
  for (const key of keys as PyValue[]) {
    const storage = storages.get(String(key)) ?? reader.fail(`storage ${String(key)} belongs to nothing`);
    if (reader.remaining < 8) reader.fail(`the data of storage ${storage.key} are missing`);
    const length = Number(reader.take(8).readBigInt64LE());
    if (length !== storage.length) {
      reader.fail(`storage ${storage.key} has ${length} elements instead of ${storage.length}`);
    }
    if (places.has(storage.key)) reader.fail(`storage ${storage.key} is listed twice`);
    places.set(storage.key, { offset: reader.position, length: storage.byteLength, crc32: null });
    reader.skip(storage.byteLength);
  }
  for (const key of storages.keys()) {
    if (!places.has(key)) reader.fail(`the data of storage ${key} are missing`);
  }
}

/** ('storage', class, key, device, number of elements[, view]) */
function parseStorageId(id: PyValue, reader: ByteReader) {
  const [kind, type, key, , length, view = null] = id instanceof PyTuple ? id.items : [];
  if (kind !== 'storage' || !(type instanceof PyGlobal) || !isSize(length)) {
    return reader.fail('a reference to something that is no storage');
  }
  if (typeof key !== 'string' && typeof key !== 'number') return reader.fail('a storage without a key');
  return { className: type.className, key: String(key), length, view };
}

/** Describes a file that is no checkpoint, with advice. */
function describeContents(file: FileSource): string {
  if (file.size === 0) return 'the file is empty';
  const start = file.read(0, Math.min(file.size, 512));
  const text = start.toString('latin1').trimStart();
  if (text.startsWith('version https://git-lfs')) {
    return 'it is a Git LFS pointer; run "git lfs pull" to get the file it stands for';
  }
  if (text.startsWith('<')) {
    return 'it is a web page (HTML or XML); the download gave a page instead of the file, download it again';
  }
  if (start[0] === 0x1f && start[1] === 0x8b) return 'it is compressed with gzip; unpack it first';
  if (start.toString('latin1', 257, 262) === 'ustar') {
    return 'it is a tar archive; unpack it first (or, if PyTorch before 0.2 wrote it, save it again with a newer one)';
  }
  if (start.subarray(1, 4).toString('latin1') === 'HDF') return 'it is an HDF5 file (Keras?)';
  if (looksLikeSafetensors(file)) return 'it is a safetensors file';
  return 'its first bytes are not those of a file that torch.save writes';
}

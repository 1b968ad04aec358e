/** @file Reads files that Python's pickle.dump wrote, such as Caffe2's weights, without running any code of them. */
import { FileSource } from '../../files/file_source.js';
import { ByteReader } from '../byte_reader.js';
import type { PyValue } from '../python/values.js';
import { type ReadOptions, unpickle } from './unpickler.js';

/** The beginnings of dicts, lists and objects in protocols 0 and 1, which have no signature. */
const TEXT_PICKLE = /^(\([dl]p\d+\n|[}\]](q.|\.|\()|c[\w.]+\n\w+\n)/s;
const MAX_PROTOCOL = 5;
const START_BYTES = 256;

/** Whether the first bytes of a file are those of a pickle. Also true for files of PyTorch's legacy format. */
export function looksLikePickle(file: FileSource): boolean {
  const start = file.read(0, Math.min(file.size, START_BYTES));
  if (start[0] === 0x80) return start[1] >= 2 && start[1] <= MAX_PROTOCOL;
  return TEXT_PICKLE.test(start.toString('latin1'));
}

/**
 * Reads the value that `pickle.dump` wrote, with any protocol, in Python 2 or 3. Arrays of NumPy are tensors that read their
 * data in `bytes()`; those that no tensor can hold are a NumpyArray. Strings of Python 2 are read as Latin-1. Bounds and
 * errors are those of `readPth`.
 */
export function readPickle(path: string, options: ReadOptions = {}): PyValue {
  return readPickleFrom(new FileSource(path), options);
}

/** Reads an open file as `readPickle` does. */
export function readPickleFrom(file: FileSource, options: ReadOptions = {}): PyValue {
  return file.hold(() => {
    const reader = new ByteReader(file, 0, file.size);
    const noReferences = (): never => reader.fail('a reference to data outside of the pickle');
    const value = unpickle(reader, noReferences, { ...options, strings: 'latin1' });
    if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes follow its end`);
    return value;
  });
}

/** @file Reading .safetensors files. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CheckpointError } from '../errors.js';
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../util/host_tensor.js';

const DTYPES: Record<string, DType> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

const MAX_HEADER_BYTES = 100 * 1024 * 1024;

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * The tensors of a safetensors file by name, in file order; bytes are read from disk when asked for.
 * Throws CheckpointError on a file whose header does not describe its contents.
 */
export function readSafetensors(path: string): Map<string, HostTensor> {
  const fail = (why: string): never => {
    throw new CheckpointError(`${path}: not a valid safetensors file: ${why}`);
  };
  const fd = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(fd).size;
    const lengthField = Buffer.alloc(8);
    if (readSync(fd, lengthField, 0, 8, 0) < 8) fail('shorter than its header');
    const headerBytes = Number(lengthField.readBigUInt64LE());
    if (headerBytes > Math.min(MAX_HEADER_BYTES, fileBytes - 8)) fail(`header of ${headerBytes} bytes`);
    const header = Buffer.alloc(headerBytes);
    readSync(fd, header, 0, headerBytes, 8);
    let entries: Record<string, Entry>;
    try {
      entries = JSON.parse(header.toString('utf8'));
    } catch {
      return fail('header is not JSON');
    }
    const tensors = new Map<string, HostTensor>();
    for (const [name, entry] of Object.entries(entries)) {
      if (name === '__metadata__') continue;
      const dtype = DTYPES[entry?.dtype];
      if (!dtype) fail(`"${name}" has unknown type ${entry?.dtype}`);
      const [begin, end] = entry.data_offsets;
      const bytes = sizeOf(entry.shape) * DTYPE_BYTES[dtype];
      if (!(begin >= 0) || end - begin !== bytes || 8 + headerBytes + end > fileBytes) {
        fail(`"${name}" [${entry.shape}] does not fit its place in the file`);
      }
      const offset = 8 + headerBytes + begin;
      tensors.set(name, { dtype, shape: entry.shape, bytes: () => readRange(path, offset, bytes) });
    }
    return tensors;
  } finally {
    closeSync(fd);
  }
}

function readRange(path: string, offset: number, length: number): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(fd, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (count === 0) throw new CheckpointError(`${path}: ended while it was being read`);
      done += count;
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

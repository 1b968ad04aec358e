/** @file Reading .safetensors files. */
import { CheckpointError } from '../errors.js';
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../util/host_tensor.js';
import { FileSource } from './file_source.js';

const DTYPES = new Map<unknown, DType>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

const MAX_HEADER_BYTES = 100 * 1024 * 1024;

/** Whether the file's first bytes are those of a safetensors file: a plausible header length, then JSON. */
export function looksLikeSafetensors(file: FileSource): boolean {
  if (file.size < 10) return false;
  const start = file.read(0, 9);
  return start.readBigUInt64LE() <= BigInt(file.size - 8) && start[8] === 0x7b;
}

/**
 * The tensors of a safetensors file by name, in file order; bytes are read from disk when asked for.
 * Throws CheckpointError on a file whose header does not describe its contents.
 */
export function readSafetensors(path: string): Map<string, HostTensor> {
  const fail = (why: string): never => {
    throw new CheckpointError(`${path}: not a valid safetensors file: ${why}`);
  };
  const file = new FileSource(path);
  if (file.size < 8) fail('shorter than its header');
  const headerBytes = Number(file.read(0, 8).readBigUInt64LE());
  if (headerBytes > file.size - 8) fail(`a header of ${headerBytes} bytes in a file of ${file.size}`);
  if (headerBytes > MAX_HEADER_BYTES) fail(`a header of ${headerBytes} bytes`);
  const header = parseHeader(file.read(8, headerBytes)) ?? fail('its header is not a JSON object');
  const tensors = new Map<string, HostTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype: code, shape, data_offsets } = (entry ?? {}) as Record<string, unknown>;
    const dtype = DTYPES.get(code) ?? fail(`"${name}" has the unknown type ${JSON.stringify(code)}`);
    if (!isSizes(shape)) return fail(`"${name}" has the impossible shape ${JSON.stringify(shape)}`);
    if (!isSizes(data_offsets) || data_offsets.length !== 2)
      return fail(`"${name}" has no place in the file`);
    const [begin, end] = data_offsets;
    const bytes = sizeOf(shape) * DTYPE_BYTES[dtype];
    if (end - begin !== bytes || 8 + headerBytes + end > file.size) {
      fail(`"${name}" [${shape}] does not fit its place in the file (is the file complete?)`);
    }
    const offset = 8 + headerBytes + begin;
    tensors.set(name, { dtype, shape, bytes: () => file.read(offset, bytes) });
  }
  return tensors;
}

function parseHeader(bytes: Buffer): Record<string, unknown> | null {
  try {
    const header: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof header === 'object' && !Array.isArray(header) ? (header as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

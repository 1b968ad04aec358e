/** @file Making checkpoint files, sound and broken ones, for tests. */
import { FileSink } from '../../src/files/atomic_file.js';
import { elementsOf, type HostTensor, isHostTensor } from '../../src/formats/host_tensor.js';
import { PyFloat, PyOpaque, PyTuple, type PyValue } from '../../src/formats/python/values.js';
import { ZipWriter } from '../../src/formats/zip/zip_writer.js';

/** A zip archive with these entries, in memory. */
export async function zipOf(entries: Record<string, Uint8Array | string>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const sink = new FileSink({
    write: async (bytes: Uint8Array) => {
      pieces.push(Buffer.from(bytes));
      return { bytesWritten: bytes.length, buffer: bytes };
    },
  } as unknown as ConstructorParameters<typeof FileSink>[0]);
  const zip = new ZipWriter(sink);
  for (const [name, data] of Object.entries(entries)) await zip.add(name, Buffer.from(data as Uint8Array));
  await zip.finish();
  await sink.flush();
  return Buffer.concat(pieces);
}

/** The bytes of a pickle written as text: one character per byte, and its numbers as they are. */
export function pickleOf(...parts: (string | number[] | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  );
}

/** A .pth file, in memory, whose data.pkl is this pickle. */
export function pthOf(
  pickle: Uint8Array,
  storages: Record<string, Uint8Array> = {},
  root = 'archive',
): Promise<Buffer> {
  const data = Object.entries(storages).map(([key, bytes]) => [`${root}/data/${key}`, bytes]);
  return zipOf({ [`${root}/data.pkl`]: pickle, ...Object.fromEntries(data), [`${root}/version`]: '3\n' });
}

/** The data of a float32 tensor. */
export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** The numbers of a float32 tensor. */
export function bytesOf(value: PyValue): number[] {
  return Array.from(new Float32Array((value as HostTensor).bytes().slice().buffer));
}

/** BINUNICODE */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([Buffer.from('X'), length, bytes]);
}

/** BININT or LONG1 */
export function int(value: number): Buffer {
  if (value === (value | 0)) {
    const bytes = Buffer.alloc(5, 'J');
    bytes.writeInt32LE(value, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(10, 0x8a);
  bytes[1] = 8;
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
}

/** _rebuild_tensor_v2 of a storage. */
export function tensorPickle(spec: {
  type?: string;
  key?: string;
  length: number;
  offset?: number;
  size: number[];
  stride: number[];
}): Buffer {
  const { type = 'FloatStorage', key = '0', length, offset = 0, size, stride } = spec;
  const tuple = (items: number[]) => Buffer.concat([Buffer.from('('), ...items.map(int), Buffer.from('t')]);
  return pickleOf(
    'ctorch._utils\n_rebuild_tensor_v2\n((',
    text('storage'),
    `ctorch\n${type}\n`,
    text(key),
    text('cpu'),
    int(length),
    'tQ',
    int(offset),
    tuple(size),
    tuple(stride),
    [0x89],
    'ccollections\nOrderedDict\n)RtR',
  );
}

/** What `work` throws; it must throw. */
export function errorOf(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** Calls `visit` for every value below and including `value`, inert objects included. */
export function walk(value: PyValue, visit: (value: PyValue) => void, seen = new Set<object>()): void {
  visit(value);
  if (value === null || typeof value !== 'object' || seen.has(value)) return;
  seen.add(value);
  if (value instanceof PyOpaque) {
    for (const item of [...value.args, value.state, value.contents]) walk(item, visit, seen);
  } else if (value instanceof PyTuple || Array.isArray(value)) {
    for (const item of value instanceof PyTuple ? value.items : (value as PyValue[])) walk(item, visit, seen);
  } else if (value instanceof Map) {
    for (const [key, item] of value) {
      walk(key, visit, seen);
      walk(item, visit, seen);
    }
  }
}

/** A value as nested plain data that toEqual compares well: tensors with their elements, dicts as lists of pairs. */
export function plain(value: PyValue): unknown {
  if (value instanceof PyFloat) return value.value;
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return { bytes: Array.from(value) };
  if (isHostTensor(value)) return describeTensor(value);
  if (value instanceof PyTuple) return { tuple: value.items.map(plain) };
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof PyOpaque) {
    const { className, args, state, contents } = value;
    return { className, args: args.map(plain), state: plain(state), contents: plain(contents) };
  }
  const entries: [PyValue, PyValue][] = value instanceof Map ? [...value] : Object.entries(value);
  return { dict: entries.map(([key, item]) => [plain(key), plain(item)]) };
}

function describeTensor(tensor: HostTensor): unknown {
  return { dtype: tensor.dtype, shape: [...tensor.shape], elements: Array.from<unknown>(elementsOf(tensor)) };
}

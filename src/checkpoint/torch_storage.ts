/** @file PyTorch's storages, the flat arrays of a checkpoint, and the tensors that are views of them. */
import { CheckpointError } from '../errors.js';
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../util/host_tensor.js';
import { PyOpaque, PyTuple, type PyValue } from '../util/python_values.js';
import { crc32 } from './crc32.js';
import type { FileSource } from './file_source.js';

/** Element types by the class of their storage; types that we have no tensors of have only a size. */
const STORAGES = new Map<string, { bytes: number; dtype?: DType }>([
  ...(
    [
      ['Double', 'float64'],
      ['Float', 'float32'],
      ['Half', 'float16'],
      ['BFloat16', 'bfloat16'],
      ['Long', 'int64'],
      ['Int', 'int32'],
      ['Short', 'int16'],
      ['Char', 'int8'],
      ['Byte', 'uint8'],
      ['Bool', 'bool'],
      ['Untyped', 'uint8'],
    ] as const
  ).map(([name, dtype]) => [`${name}Storage`, { bytes: DTYPE_BYTES[dtype], dtype }] as const),
  ['ComplexFloatStorage', { bytes: 8 }],
  ['ComplexDoubleStorage', { bytes: 16 }],
  ['QInt8Storage', { bytes: 1 }],
  ['QUInt8Storage', { bytes: 1 }],
  ['QUInt4x2Storage', { bytes: 1 }],
  ['QUInt2x4Storage', { bytes: 1 }],
  ['QInt32Storage', { bytes: 4 }],
]);

/** The storage class that PyTorch writes for each of our types. */
export const STORAGE_CLASS = Object.fromEntries(
  [...STORAGES].flatMap(([name, { dtype }]) => (dtype && name !== 'UntypedStorage' ? [[dtype, name]] : [])),
) as Record<DType, string>;

/** Element type of `torch.FloatStorage`, `torch.cuda.FloatStorage`, `torch.storage.UntypedStorage`, … */
export function storageType(className: string): { bytes: number; dtype?: DType } | null {
  const [root, ...path] = className.split('.');
  return (root === 'torch' && STORAGES.get(path.at(-1) ?? '')) || null;
}

/** Where the data of a storage lies in the file. `crc32` is null where none was recorded. */
export interface StoragePlace {
  readonly offset: number;
  readonly crc32: number | null;
}

/** A storage of a checkpoint file. It is an inert object for everything but the tensors made of it. */
export class Storage extends PyOpaque {
  constructor(
    className: string,
    readonly file: FileSource,
    readonly key: string,
    /** In elements of `elementBytes`. */
    readonly length: number,
    readonly elementBytes: number,
    readonly elementType: DType | undefined,
    /** Asked only when data are read: in the legacy format the place is known after all pickles. */
    readonly place: () => StoragePlace,
    /** First element of the storage in the one that is stored (the legacy format has views of storages). */
    readonly start = 0,
  ) {
    super(className, [key]);
  }

  get byteLength(): number {
    return this.length * this.elementBytes;
  }
}

const MAX_RANK = 64;

/** A tensor with stride 0 may be larger than what is stored, but nobody saves a huge one on purpose. */
const MAX_EXPANDED_BYTES = 256 * 1024 * 1024;

/**
 * The tensor [size] with the given strides, in elements, from `offset` of the storage; `dtype` replaces the storage's.
 * Null where we have no such type of tensor. Throws CheckpointError where it does not fit the storage.
 */
export function makeTensor(
  storage: Storage,
  offset: PyValue,
  size: PyValue,
  stride: PyValue,
  dtype: DType | undefined = storage.elementType,
): HostTensor | null {
  if (!dtype) return null;
  const fail = (why: string): never => {
    throw new CheckpointError(`${storage.file.path}: damaged: the tensor of storage ${storage.key} ${why}`);
  };
  const shape = asSizes(size) ?? fail('has no valid shape');
  const strides = asSizes(stride) ?? fail('has no valid strides');
  if (!isSize(offset)) return fail('has no valid offset');
  if (shape.length !== strides.length || shape.length > MAX_RANK) fail('has no valid strides');
  const itemBytes = DTYPE_BYTES[dtype];
  const count = sizeOf(shape);
  const last = count === 0 ? -1 : shape.reduce((at, extent, i) => at + (extent - 1) * strides[i], offset);
  if (!((last + 1) * itemBytes <= storage.byteLength)) {
    fail(`[${shape}] reaches beyond its ${storage.byteLength} bytes`);
  }
  const bytes = count * itemBytes;
  if (bytes > Math.max(storage.byteLength, MAX_EXPANDED_BYTES)) {
    fail(`would be ${bytes} bytes, of ${storage.byteLength} stored ones`);
  }
  return new StoredTensor(storage, dtype, shape, strides, offset, last);
}

class StoredTensor implements HostTensor {
  readonly #storage: Storage;
  readonly #strides: readonly number[];
  readonly #first: number;
  readonly #last: number;

  constructor(
    storage: Storage,
    readonly dtype: DType,
    readonly shape: readonly number[],
    strides: readonly number[],
    first: number,
    last: number,
  ) {
    this.#storage = storage;
    this.#strides = strides;
    this.#first = first;
    this.#last = last;
  }

  bytes(): Uint8Array {
    const count = sizeOf(this.shape);
    if (count === 0) return new Uint8Array(0);
    const storage = this.#storage;
    const itemBytes = DTYPE_BYTES[this.dtype];
    const place = storage.place();
    const stored = this.#last - this.#first + 1;
    const begin = storage.start * storage.elementBytes + this.#first * itemBytes;
    const bytes = storage.file.read(place.offset + begin, stored * itemBytes);
    const whole = begin === 0 && bytes.length === storage.byteLength;
    if (whole && place.crc32 !== null && crc32(bytes) !== place.crc32) {
      throw new CheckpointError(
        `${storage.file.path}: damaged: the data of storage ${storage.key} do not match their checksum`,
      );
    }
    return isDense(this.shape, this.#strides) ? bytes : gather(bytes, this.shape, this.#strides, itemBytes);
  }
}

function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** Row-major copy of a strided view whose first element is the first of `source`. */
function gather(
  source: Buffer,
  shape: readonly number[],
  strides: readonly number[],
  itemBytes: number,
): Uint8Array {
  const View = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[itemBytes]!;
  const from = new View(source.buffer as ArrayBuffer, source.byteOffset, source.length / itemBytes);
  const to = new View(sizeOf(shape));
  const rank = shape.length;
  const inner = shape[rank - 1];
  const innerStride = strides[rank - 1];
  const index = new Array<number>(rank).fill(0);
  let base = 0;
  for (let done = 0; done < to.length; ) {
    for (let i = 0, at = base; i < inner; i++, at += innerStride) to[done++] = from[at];
    for (let axis = rank - 2; axis >= 0; axis--) {
      base += strides[axis];
      if (++index[axis] < shape[axis]) break;
      base -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return new Uint8Array(to.buffer);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function asSizes(value: PyValue): number[] | null {
  const items = value instanceof PyTuple ? value.items : value;
  return Array.isArray(items) && items.every(isSize) ? (items as number[]) : null;
}

/** @file PyTorch's storages, the flat arrays of a checkpoint, and the tensors that are views of them. */
import { CheckpointError } from '../../errors.js';
import type { FileSource } from '../../files/file_source.js';
import { crc32, crc32OfRange, DamagedDataError } from '../checksum.js';
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../host_tensor.js';
import { PyOpaque, PyTuple, type PyValue } from '../python/values.js';

/** Element types by the class of their storage. Types that we have no tensors of have only a size. */
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

/** The place of a storage's data in the file. */
export interface StoragePlace {
  readonly offset: number;
  /** Bytes of the data that `crc32` covers. */
  readonly length: number;
  /** Null if none was recorded. */
  readonly crc32: number | null;
}

/** Bounds on the bytes of all tensors of a file, which may share stored data and expand it. */
const MAX_SHARING = 16;
const MAX_EXPANSION = 512 * 1024 * 1024;

/** Counts the bytes of a file's tensors, so that reading all of them takes bounded time. */
export class TensorBudget {
  #left: number;

  constructor(private readonly file: FileSource) {
    this.#left = MAX_SHARING * file.size + MAX_EXPANSION;
  }

  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    throw new CheckpointError(
      `${this.file.path}: damaged: its tensors claim more than ${MAX_SHARING} times the file's ${this.file.size} bytes`,
    );
  }
}

export interface StorageSource {
  readonly file: FileSource;
  readonly budget: TensorBudget;
  readonly elementBytes: number;
  readonly elementType: DType | undefined;
  /** Called only when data are read: in the legacy format the place is known after all pickles. */
  readonly place: () => StoragePlace;
}

/** A storage of a checkpoint file. Apart from the tensors made of it, it is an inert object. */
export class Storage extends PyOpaque {
  #sound = false;

  constructor(
    className: string,
    readonly key: string,
    /** Number of elements. */
    readonly length: number,
    readonly source: StorageSource,
    /** The first element within the stored storage: the legacy format has views of storages. */
    readonly start = 0,
  ) {
    super(className, [key]);
  }

  get byteLength(): number {
    return this.length * this.source.elementBytes;
  }

  /** Throws CheckpointError if a checksum was recorded and differs from this one. */
  compare(crc: number): void {
    const expected = this.source.place().crc32;
    if (expected === null || crc === expected) return;
    throw new DamagedDataError(
      `${this.source.file.path}: damaged: the data of storage ${this.key} do not match their checksum`,
    );
  }

  /** Compares the whole storage with its checksum, once. */
  verify(): void {
    const { offset, length, crc32: expected } = this.source.place();
    if (this.#sound || expected === null) return;
    this.compare(crc32OfRange(this.source.file, offset, length));
    this.#sound = true;
  }
}

const MAX_RANK = 64;

/** Maximum bytes of a tensor that is larger than its storage because of a stride of 0. */
const MAX_EXPANDED_BYTES = 256 * 1024 * 1024;

/** The arguments of PyTorch's function that makes a tensor of a storage, unchecked. */
interface TensorArgs {
  readonly offset: PyValue;
  readonly size: PyValue;
  readonly stride: PyValue;
  /** Replaces the type of the storage. */
  readonly dtype?: DType;
}

/**
 * The tensor [size] with the given strides, in elements, from `offset` of the storage; `dtype` replaces the storage's.
 * Null if we have no such type of tensor. Throws CheckpointError if it does not fit the storage.
 */
export function makeTensor(
  storage: Storage,
  { offset, size, stride, dtype = storage.source.elementType }: TensorArgs,
): HostTensor | null {
  if (!dtype) return null;
  const fail = (why: string): never => {
    throw new CheckpointError(
      `${storage.source.file.path}: damaged: the tensor of storage ${storage.key} ${why}`,
    );
  };
  const shape = asSizes(size) ?? fail('has no valid shape');
  const strides = asSizes(stride) ?? fail('has no valid strides');
  if (!isSize(offset)) return fail('has no valid offset');
  if (shape.length !== strides.length) fail('has no valid strides');
  const itemBytes = DTYPE_BYTES[dtype];
  const count = sizeOf(shape);
  // Also where an axis is empty: the others alone may overflow.
  if (Number.isNaN(count)) fail('has no valid shape');
  const last = count === 0 ? -1 : shape.reduce((at, extent, i) => at + (extent - 1) * strides[i], offset);
  if (!((last + 1) * itemBytes <= storage.byteLength)) {
    fail(`[${shape}] reaches beyond its ${storage.byteLength} bytes`);
  }
  const bytes = count * itemBytes;
  if (bytes > Math.max(storage.byteLength, MAX_EXPANDED_BYTES)) {
    fail(`would be ${bytes} bytes, of ${storage.byteLength} stored ones`);
  }
  storage.source.budget.spend(bytes);
  return new StoredTensor(storage, dtype, shape, { strides, first: offset, last });
}

/** The key of the storage that a tensor of a .pth file is a view of. */
export function storageKeyOf(tensor: HostTensor): string | null {
  return tensor instanceof StoredTensor ? tensor.storage.key : null;
}

class StoredTensor implements HostTensor {
  readonly #strides: readonly number[];
  readonly #first: number;
  readonly #last: number;

  constructor(
    readonly storage: Storage,
    readonly dtype: DType,
    readonly shape: readonly number[],
    { strides, first, last }: { strides: readonly number[]; first: number; last: number },
  ) {
    this.#strides = strides;
    this.#first = first;
    this.#last = last;
  }

  bytes(): Uint8Array {
    if (sizeOf(this.shape) === 0) return new Uint8Array(0);
    const { file } = this.storage.source;
    const { offset, length, whole } = this.#range();
    if (!whole) this.storage.verify();
    const bytes = file.read(offset, length);
    if (whole) this.storage.compare(crc32(bytes));
    if (isDense(this.shape, this.#strides)) return bytes;
    return gather(bytes, this.shape, this.#strides, DTYPE_BYTES[this.dtype]);
  }

  /** The bytes in pieces. A view with other strides, such as a transposed matrix, comes in one piece. */
  *pieces(): Generator<Uint8Array> {
    if (sizeOf(this.shape) === 0) return;
    if (!isDense(this.shape, this.#strides)) {
      yield this.bytes();
      return;
    }
    const { offset, length, whole } = this.#range();
    if (!whole) this.storage.verify();
    let crc = 0;
    for (const piece of this.storage.source.file.pieces(offset, length)) {
      if (whole) crc = crc32(piece, crc);
      yield piece;
    }
    if (whole) this.storage.compare(crc);
  }

  /** The bytes of the file that the tensor covers, and whether the storage's checksum is of exactly these. */
  #range(): { offset: number; length: number; whole: boolean } {
    const { place, elementBytes } = this.storage.source;
    const { offset, length: stored } = place();
    const itemBytes = DTYPE_BYTES[this.dtype];
    const begin = this.storage.start * elementBytes + this.#first * itemBytes;
    const length = (this.#last - this.#first + 1) * itemBytes;
    return { offset: offset + begin, length, whole: begin === 0 && length === stored };
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

/** A row-major copy of a strided view whose first element is the first of `source`. */
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

/** Copies the sizes, since the pickle may change the list after the tensor was made. */
function asSizes(value: PyValue): number[] | null {
  const items = value instanceof PyTuple ? value.items : value;
  if (!Array.isArray(items) || items.length > MAX_RANK) return null;
  return items.every(isSize) ? [...(items as number[])] : null;
}

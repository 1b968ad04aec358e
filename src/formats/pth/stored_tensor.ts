/** @file Tensors of a .pth file, which are strided views of its storages. */
import { CheckpointError } from '../../errors.js';
import { crc32 } from '../checksum.js';
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../host_tensor.js';
import { PyTuple, type PyValue } from '../python/values.js';
import type { Storage } from './torch_storage.js';

const MAX_RANK = 64;

/** Maximum bytes of a tensor that is larger than its storage because of a stride of 0. */
const MAX_EXPANDED_BYTES = 256 * 1024 * 1024;

/** The arguments of PyTorch's function that makes a tensor from a storage, unchecked. */
interface TensorArgs {
  readonly offset: PyValue;
  readonly size: PyValue;
  readonly stride: PyValue;
  /** Replaces the type of the storage. */
  readonly dtype?: DType;
}

/**
 * Makes the tensor [size] with these strides, in elements, from `offset` of the storage. Returns null for an element type
 * without tensors here. Throws CheckpointError if the tensor does not fit the storage.
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
  // The check holds for empty tensors too: the axes other than the empty one may overflow.
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

/** A view of a storage, read from the file on demand. */
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

/** Whether a value of a pickle is a whole number from 0. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Copies the sizes, since the pickle may change the list after the tensor was made. */
function asSizes(value: PyValue): number[] | null {
  const items = value instanceof PyTuple ? value.items : value;
  if (!Array.isArray(items) || items.length > MAX_RANK) return null;
  return items.every(isSize) ? [...(items as number[])] : null;
}

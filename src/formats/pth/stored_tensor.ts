/** @file Tensors of a .pth file, which are strided views of its storages. */
import { CheckpointError } from '../../errors.js';
import { crc32 } from '../checksum.js';
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../host_tensor.js';
import type { PyValue } from '../python/values.js';
import { asSizes, isSize } from '../sizes.js';
import { gather, isDense } from '../strided.js';
import type { Storage } from './torch_storage.js';

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

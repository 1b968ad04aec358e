/** @file Arrays of NumPy in a pickle, as tensors that read their data on demand. */
import { DTYPE_BYTES, type DType, type HostTensor, sizeOf } from '../host_tensor.js';
import { PyOpaque, PyTuple, type PyValue } from '../python/values.js';
import { asSizes, isSize } from '../sizes.js';
import { gather, isDense } from '../strided.js';
import { type ArrayData, arrayDataOf } from './array_data.js';
import { type ElementType, NumpyDtype } from './dtype.js';

/** An array before its state is known, and afterwards one with elements that no tensor can hold, such as objects. */
export class NumpyArray extends PyOpaque {
  /** The tensor of the array, once its state is known. */
  tensor: HostTensor | null = null;

  constructor(args: readonly PyValue[]) {
    super('numpy.ndarray', args);
  }

  /** What the elements are, in words. */
  get elements(): string {
    const { type } = stateOf(this.state);
    return type instanceof NumpyDtype ? type.title : 'elements of an unknown type';
  }
}

/** Arguments of NumPy's functions that make arrays, unchecked. */
interface ArrayState {
  readonly shape?: PyValue;
  readonly type?: PyValue;
  /** Whether the first axis is the fastest. */
  readonly isFortran: boolean;
  readonly data?: PyValue;
  /** The stored axis of each axis; absent if they are the same. */
  readonly axes?: PyValue;
}

/** (version, shape, type, whether the first axis is the fastest, data); very old arrays have no version. */
function stateOf(state: PyValue): ArrayState {
  const [shape, type, isFortran, data] = state instanceof PyTuple ? state.items.slice(-4) : [];
  return { shape, type, isFortran: isFortran === true || isFortran === 1, data };
}

/** What an array needs of its file. */
export interface ArrayFile {
  /** Counts the bytes of a tensor. Throws CheckpointError if all of the file's are too many. */
  spend(bytes: number): void;
  /** Throws CheckpointError. */
  fail(why: string): never;
}

/**
 * Gives an array the state of its pickle. Returns its tensor, or the array itself if no tensor can hold the elements. Throws
 * CheckpointError if the data do not fit the shape.
 */
export function withState(array: NumpyArray, state: PyValue, file: ArrayFile): PyValue {
  array.state = state;
  array.tensor = tensorOf(stateOf(state), file);
  return array.tensor ?? array;
}

/** The array of `numpy.core.numeric._frombuffer(data, type, shape, order, axes)`, as protocol 5 has them. */
export function arrayFromBuffer(args: readonly PyValue[], file: ArrayFile): PyValue {
  const [data, type, shape, order, axes] = args;
  const array = new NumpyArray(args);
  array.state = new PyTuple([shape, type, order === 'F', data].map((value) => value ?? null));
  const stored = order === 'K' ? { axes } : {};
  return tensorOf({ ...stateOf(array.state), ...stored }, file) ?? array;
}

function tensorOf({ shape, type, isFortran, data, axes }: ArrayState, file: ArrayFile): HostTensor | null {
  const element = type instanceof NumpyDtype ? type.elementType : null;
  if (!(type instanceof NumpyDtype) || element === null) return null;
  const stored = asSizes(shape) ?? file.fail('an array without a valid shape');
  const bytes = arrayDataOf(data) ?? file.fail('an array without data');
  const expected = sizeOf(stored) * element.bytes;
  if (bytes.length !== expected) {
    file.fail(`an array of shape [${stored}] has ${bytes.length} bytes instead of ${expected}`);
  }
  file.spend(sizeOf(stored) * DTYPE_BYTES[element.dtype]);
  const layout = layoutOf(stored, isFortran, axes) ?? file.fail('an array without a valid order of its axes');
  return new ArrayTensor(bytes, { ...layout, element, bigEndian: type.bigEndian });
}

interface Layout {
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
}

function layoutOf(stored: readonly number[], isFortran: boolean, axes: PyValue | undefined): Layout | null {
  const strides = new Array<number>(stored.length);
  let stride = 1;
  for (let i = 0; i < stored.length; i++) {
    const axis = isFortran ? i : stored.length - 1 - i;
    strides[axis] = stride;
    stride *= stored[axis];
  }
  if (axes === undefined || axes === null) return { shape: stored, strides };
  const order = asSizes(axes);
  if (order === null || order.length !== stored.length || new Set(order).size !== order.length) return null;
  if (!order.every((axis) => isSize(axis) && axis < stored.length)) return null;
  return { shape: order.map((axis) => stored[axis]), strides: order.map((axis) => strides[axis]) };
}

/** A tensor whose elements may be in another order, of the other byte order, or shorter. */
class ArrayTensor implements HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly #strides: readonly number[];
  readonly #element: ElementType;
  readonly #bigEndian: boolean;

  constructor(
    private readonly data: ArrayData,
    { shape, strides, element, bigEndian }: Layout & { element: ElementType; bigEndian: boolean },
  ) {
    this.dtype = element.dtype;
    this.shape = shape;
    this.#strides = strides;
    this.#element = element;
    this.#bigEndian = bigEndian;
  }

  bytes(): Uint8Array {
    const bytes = this.#decoded(this.data.read());
    if (bytes.length === 0 || isDense(this.shape, this.#strides)) return bytes;
    return gather(bytes, this.shape, this.#strides, DTYPE_BYTES[this.dtype]);
  }

  /** The bytes in pieces. Elements in another order come in one piece. */
  *pieces(): Generator<Uint8Array> {
    if (this.data.pieces === undefined || !isDense(this.shape, this.#strides)) yield this.bytes();
    else for (const piece of this.data.pieces()) yield this.#decoded(piece);
  }

  /** The elements, little-endian and of the tensor's type. May change `stored`. */
  #decoded(stored: Uint8Array): Uint8Array {
    const { bytes } = this.#element;
    if (this.#bigEndian) swapBytes(stored, bytes);
    if (DTYPE_BYTES[this.dtype] === bytes) return stored;
    const at = [stored.buffer as ArrayBuffer, stored.byteOffset, stored.length / bytes] as const;
    const wide = bytes === 2 ? Int32Array.from(new Uint16Array(...at)) : widened(new Uint32Array(...at));
    return new Uint8Array(wide.buffer);
  }
}

function widened(numbers: Uint32Array): BigInt64Array {
  return BigInt64Array.from(numbers, BigInt);
}

function swapBytes(bytes: Uint8Array, itemBytes: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (itemBytes === 2) buffer.swap16();
  else if (itemBytes === 4) buffer.swap32();
  else if (itemBytes === 8) buffer.swap64();
}

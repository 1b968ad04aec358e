/** @file Tensors outside any engine: a dtype, a shape and bytes that are read on demand. */
import { bytesOf } from '../util/bytes.js';

export const DTYPE_BYTES = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
} as const;

export type DType = keyof typeof DTYPE_BYTES;

/** A dense row-major tensor. `bytes()` may read a file, so a checkpoint larger than memory can be walked. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The elements, little-endian, as a view that the caller must not modify. */
  bytes(): Uint8Array;
  /** The bytes in memory that nothing else uses; absent if that would need a copy. */
  ownBytes?(): Uint8Array;
  /** The bytes in pieces of whole elements, each valid until the next; absent if `bytes()` needs no memory. */
  pieces?(): Iterable<Uint8Array>;
}

/** The bytes of a tensor, in pieces if possible. An error may come after some pieces. */
export function piecesOf(tensor: HostTensor): Iterable<Uint8Array> {
  return tensor.pieces?.() ?? [tensor.bytes()];
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Bytes of a tensor's data. */
export function byteLengthOf({ dtype, shape }: Pick<HostTensor, 'dtype' | 'shape'>): number {
  return sizeOf(shape) * DTYPE_BYTES[dtype];
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Wraps float32 data without copying. */
export function float32Tensor(shape: readonly number[], data: Float32Array): HostTensor {
  if (data.length !== sizeOf(shape)) throw new RangeError(`${data.length} elements for shape [${shape}]`);
  return {
    dtype: 'float32',
    shape,
    bytes: () => bytesOf(data),
  };
}

export function isHostTensor(value: unknown): value is HostTensor {
  return (
    typeof value === 'object' &&
    value !== null &&
    'dtype' in value &&
    'shape' in value &&
    'bytes' in value &&
    typeof value.bytes === 'function'
  );
}

export type Elements =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/** The elements in order, as a view if JavaScript has the type. 16-bit floats are widened to float32. */
export function elementsOf(tensor: HostTensor): Elements {
  const raw = tensor.bytes();
  const count = sizeOf(tensor.shape);
  const bytes = raw.byteOffset % 8 === 0 ? raw : new Uint8Array(raw);
  const at = [bytes.buffer, bytes.byteOffset, count] as const;
  switch (tensor.dtype) {
    case 'float64':
      return new Float64Array(...at);
    case 'float32':
      return new Float32Array(...at);
    case 'int64':
      return new BigInt64Array(...at);
    case 'int32':
      return new Int32Array(...at);
    case 'int16':
      return new Int16Array(...at);
    case 'int8':
      return new Int8Array(...at);
    case 'uint8':
    case 'bool':
      return new Uint8Array(...at);
    case 'bfloat16': {
      const halves = new Uint16Array(...at);
      const wide = new Uint32Array(count);
      for (let i = 0; i < count; i++) wide[i] = halves[i] << 16;
      return new Float32Array(wide.buffer);
    }
    case 'float16': {
      const halves = new Uint16Array(...at);
      const wide = new Float32Array(count);
      float16Table ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => float16ToNumber(bits));
      for (let i = 0; i < count; i++) wide[i] = float16Table[halves[i]];
      return wide;
    }
  }
}

/** The elements as float32. 64-bit types are rounded. */
export function toFloat32(tensor: HostTensor): Float32Array {
  const elements = elementsOf(tensor);
  if (elements instanceof Float32Array) return elements;
  if (elements instanceof BigInt64Array) return Float32Array.from(elements, Number);
  return new Float32Array(elements);
}

/** All 65,536 values of float16, made when first needed. Decoding bit by bit is ten times slower. */
let float16Table: Float32Array | undefined;

/** Converts IEEE 754 binary16 bits to a number. */
function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * @file Converts tensors of floats to other float types, rounding to nearest, ties to even. PyTorch gives the same, except
 * from float64 to 16 bits, where it rounds twice, through float32. Own code, since Float16Array needs Node 24.
 */
import { bytesOf } from '../util/bytes.js';
import { DTYPE_BYTES, type Elements, elementsOf, type HostTensor, piecesOf } from './host_tensor.js';

export type FloatType = 'float32' | 'float16' | 'bfloat16';

const FLOATS: ReadonlySet<string> = new Set(['float64', 'float32', 'float16', 'bfloat16']);

export function isFloat({ dtype }: HostTensor): boolean {
  return FLOATS.has(dtype);
}

/** A tensor of floats as another type. Its bytes are converted on demand, piece by piece if possible. */
export class CastTensor implements HostTensor {
  readonly shape: readonly number[];
  #overflowed = false;

  constructor(
    private readonly source: HostTensor,
    readonly dtype: FloatType,
  ) {
    this.shape = source.shape;
  }

  /** Whether a finite number became infinite in the bytes read so far. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  bytes(): Uint8Array {
    return this.#cast(this.source.bytes());
  }

  *pieces(): Generator<Uint8Array> {
    for (const piece of piecesOf(this.source)) yield this.#cast(piece);
  }

  #cast(piece: Uint8Array): Uint8Array {
    const { dtype } = this.source;
    const shape = [piece.length / DTYPE_BYTES[dtype]];
    const from = elementsOf({ dtype, shape, bytes: () => piece });
    const to = castElements(from, this.dtype);
    this.#overflowed ||= hasNewInfinity(from, to, this.dtype);
    return bytesOf(to);
  }
}

function castElements(from: Elements, type: FloatType): Float32Array | Uint16Array {
  if (type === 'float32')
    return from instanceof Float32Array ? from : Float32Array.from(from as Float64Array);
  const wide = from instanceof Float32Array ? from : toOdd(from as Float64Array);
  const bits = new Uint32Array(wide.buffer, wide.byteOffset, wide.length);
  const round = type === 'float16' ? float16Bits : bfloat16Bits;
  const to = new Uint16Array(bits.length);
  for (let i = 0; i < to.length; i++) to[i] = round(bits[i]);
  return to;
}

/** Rounds to float32 so that a second rounding to fewer digits equals a single one: inexact results are made odd. */
function toOdd(from: Float64Array): Float32Array {
  const to = Float32Array.from(from);
  const bits = new Uint32Array(to.buffer);
  for (let i = 0; i < to.length; i++) {
    if (to[i] === from[i] || Number.isNaN(from[i])) continue;
    if (Math.abs(to[i]) > Math.abs(from[i])) bits[i]--;
    bits[i] |= 1;
  }
  return to;
}

/** Converts the bits of a float32 to those of the nearest float16. */
function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  if (size >= 0x47800000) return sign | 0x7c00;
  // Below 2^-14 float16 has steps of 2^-24.
  if (size < 0x38800000) {
    const exponent = size >>> 23;
    if (exponent < 102) return sign;
    const digits = (size & 0x7fffff) | 0x800000;
    const shift = 126 - exponent;
    return sign | ((digits + (1 << (shift - 1)) - 1 + ((digits >>> shift) & 1)) >>> shift);
  }
  // Float16 has 13 digits fewer, and its exponent begins 112 later. A carry goes into the exponent, and to infinity.
  return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
}

/** Converts the bits of a float32 to those of the nearest bfloat16. */
function bfloat16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function hasNewInfinity(from: Elements, to: Float32Array | Uint16Array, type: FloatType): boolean {
  const isNew = (i: number) => Math.abs(from[i] as number) < Infinity;
  if (to instanceof Float32Array) return to.some((value, i) => Math.abs(value) === Infinity && isNew(i));
  const infinity = type === 'float16' ? 0x7c00 : 0x7f80;
  return to.some((bits, i) => (bits & 0x7fff) === infinity && isNew(i));
}

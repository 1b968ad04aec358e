/** @file The elements of stored tensors in the text of kernels that are written by hand. */
import type { Storage } from '../storage.js';

/** The type of an element in memory. */
export const C_TYPE: Readonly<Record<Storage, string>> = {
  float32: 'float',
  int32: 'int',
  bool: 'unsigned char',
  bfloat16: 'unsigned short',
};

/** The value of a stored element; bfloat16 becomes a float. */
export function floatOf(element: string, storage: Storage): string {
  return storage === 'bfloat16' ? `__uint_as_float((unsigned)${element} << 16)` : element;
}

/** A device function of this name that rounds a float to the nearest bfloat16. */
export function roundFunction(name: string): string {
  return `__device__ __forceinline__ unsigned short ${name}(float x) {
  const unsigned bits = __float_as_uint(x);
  return x != x ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
`;
}

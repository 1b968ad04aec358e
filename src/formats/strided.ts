/** @file Row-major copies of arrays that are stored with other strides. */
import { sizeOf } from './host_tensor.js';

/** Whether elements with these strides, in elements, lie one after the other in row-major order. */
export function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/**
 * A row-major copy of a strided view that is not empty and has at least one axis. Its first element is the first of `source`,
 * which must be aligned.
 */
export function gather(
  source: Uint8Array,
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

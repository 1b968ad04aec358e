/** @file Tests of element types and their conversion. */
import { expect, test } from 'vitest';
import { bytesOf } from '../util/bytes.js';
import {
  DTYPE_BYTES,
  type DType,
  elementsOf,
  float32Tensor,
  isHostTensor,
  sizeOf,
  toFloat32,
} from './host_tensor.js';

function tensorOf(dtype: DType, shape: number[], data: ArrayBufferView) {
  return { dtype, shape, bytes: () => bytesOf(data) };
}

test('converts every type to float32', () => {
  const cases: [DType, ArrayBufferView, number[]][] = [
    ['float64', Float64Array.of(0.1, -1e300), [Math.fround(0.1), -Infinity]],
    ['float32', Float32Array.of(1.5, -0), [1.5, -0]],
    ['float16', Uint16Array.of(0x3c00, 0xbc01), [1, -(1 + 2 ** -10)]],
    ['bfloat16', Uint16Array.of(0x3f80, 0xff80), [1, -Infinity]],
    ['int64', BigInt64Array.of(-3n, 2n ** 40n), [-3, 2 ** 40]],
    ['int32', Int32Array.of(-3, 7), [-3, 7]],
    ['int16', Int16Array.of(-3, 7), [-3, 7]],
    ['int8', Int8Array.of(-3, 7), [-3, 7]],
    ['uint8', Uint8Array.of(255, 7), [255, 7]],
    ['bool', Uint8Array.of(1, 0), [1, 0]],
  ];
  expect(cases.map(([dtype]) => dtype)).toEqual(Object.keys(DTYPE_BYTES));
  for (const [dtype, data, expected] of cases) {
    expect(toFloat32(tensorOf(dtype, [2], data)), dtype).toEqual(Float32Array.from(expected));
  }
});

test('converts special values of half precision', () => {
  const bits = Uint16Array.of(0x0001, 0x83ff, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x8000);
  const expected = [2 ** -24, -1023 * 2 ** -24, 65504, Infinity, -Infinity, Number.NaN, -0];
  expect(Array.from(toFloat32(tensorOf('float16', [7], bits)))).toEqual(expected);
});

test('reads bytes at an odd address', () => {
  const odd = new Uint8Array(9);
  odd.set(new Uint8Array(Float64Array.of(2.5).buffer), 1);
  expect(elementsOf(tensorOf('float64', [], odd.subarray(1)))).toEqual(Float64Array.of(2.5));
});

test('wraps data without a copy, and checks the number of elements', () => {
  const data = Float32Array.of(1, 2);
  expect(() => float32Tensor([3], data)).toThrow(RangeError);
  const tensor = float32Tensor([2, 1], data);
  expect((elementsOf(tensor) as Float32Array).buffer).toBe(data.buffer);
  expect(sizeOf([2, 3, 0])).toBe(0);
});

test('recognizes tensors', () => {
  expect(isHostTensor(float32Tensor([], Float32Array.of(1)))).toBe(true);
  for (const other of [null, 1, {}, new Map(), { dtype: 'x', shape: [], bytes: 1 }]) {
    expect(isHostTensor(other)).toBe(false);
  }
});

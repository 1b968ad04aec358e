/** @file bfloat16: rounding of single numbers. */
import { expect, it } from 'vitest';
import { fromBfloat16, toBfloat16 } from './bfloat16.js';

function floatOf(bits: number): Float32Array {
  return new Float32Array(Uint32Array.of(bits).buffer);
}

it.each([
  ['one', 0x3f80_0000, 0x3f80],
  ['down', 0x3f80_7fff, 0x3f80],
  ['up', 0x3f80_8001, 0x3f81],
  ['half to the even one below', 0x3f80_8000, 0x3f80],
  ['half to the even one above', 0x3f81_8000, 0x3f82],
  ['into the next exponent', 0x3fff_ffff, 0x4000],
  ['the largest to infinity', 0x7f7f_ffff, 0x7f80],
  ['minus infinity', 0xff80_0000, 0xff80],
  ['minus zero', 0x8000_0000, 0x8000],
  ['a NaN of low bits', 0x7f80_0001, 0x7fc0],
  ['a negative NaN', 0xffff_ffff, 0xffff],
])('rounds %s', (_, bits, expected) => {
  expect(toBfloat16(floatOf(bits))[0]).toBe(expected);
});

it('reads every number exactly, and writes it again', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const floats = fromBfloat16(all);
  expect([floats[0x3f80], floats[0xc040], floats[0x7f80]]).toEqual([1, -3, Number.POSITIVE_INFINITY]);
  const isNumber = all.map((bits) => Number((bits & 0x7fff) <= 0x7f80));
  const back = toBfloat16(floats);
  expect(back.filter((bits, i) => isNumber[i] && bits !== i)).toHaveLength(0);
});

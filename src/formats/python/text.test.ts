import { expect, it } from 'vitest';
import { pythonFloat, pythonFloatList, pythonStringSet } from './text.js';

// Right-hand sides are what CPython 3.11 prints.
it.each([
  [1, '1.0'],
  [0, '0.0'],
  [-0.75, '-0.75'],
  [1e-4, '0.0001'],
  [1e-5, '1e-05'],
  [-1.5e-7, '-1.5e-07'],
  [0.023757264018058777, '0.023757264018058777'],
  [123456789, '123456789.0'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e+16'],
  [1.2345e100, '1.2345e+100'],
  [Number.NaN, 'nan'],
  [Number.NEGATIVE_INFINITY, '-inf'],
])('prints the float %d as Python does', (value, text) => {
  expect(pythonFloat(value)).toBe(text);
});

it('prints lists and sets as Python does', () => {
  expect(pythonFloatList([0.75, 1])).toBe('[0.75, 1.0]');
  expect(pythonStringSet(new Set(['pos_embed', 'x']))).toBe("{'pos_embed', 'x'}");
  expect(pythonStringSet(new Set())).toBe('set()');
});

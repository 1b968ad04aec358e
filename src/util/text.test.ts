/** @file Numbers for people. */
import { expect, it } from 'vitest';
import { roughDuration } from './text.js';

it.each([
  [0, '0 s'],
  [59.4, '59 s'],
  [59.6, '1 min'],
  [720, '12 min'],
  [3599, '1 h'],
  [11_100, '3 h 5 min'],
  [86_399, '1 day'],
  [97_200, '1 day 3 h'],
  [172_800, '2 days'],
  [1_000_000, '11 days 14 h'],
  [40_000_000, '462 days'],
  [Number.NaN, '–'],
])('%s seconds are %s', (seconds, text) => {
  expect(roughDuration(seconds)).toBe(text);
});

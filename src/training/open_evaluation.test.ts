/** @file The evaluations that a run has still before it. */
import { expect, it } from 'vitest';
import { evaluationsLeft } from './open_evaluation.js';

it.each([
  ['before the first', 0, { period: 10, after: 20, finalTest: true }, 4],
  ['at an evaluation, which is still to come', 29, { period: 10, after: 20, finalTest: true }, 4],
  ['after one', 30, { period: 10, after: 20, finalTest: true }, 3],
  ['with a final test besides', 55, { period: 25, after: 0, finalTest: true }, 1],
  ['with a final test that is none of the others', 0, { period: 25, after: 0, finalTest: true }, 3],
  ['without a final test', 0, { period: 25, after: 0, finalTest: false }, 2],
  ['with the final test alone', 5, { period: null, after: 0, finalTest: true }, 1],
  ['with none', 5, { period: null, after: 0, finalTest: false }, 0],
])('evaluations that are left: %s', (_, iteration, schedule, expected) => {
  expect(evaluationsLeft(iteration, 60, schedule)).toBe(expected);
});

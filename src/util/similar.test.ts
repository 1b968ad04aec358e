/** @file Tests of the names that mistyped ones seem to mean. */
import { distance } from 'fastest-levenshtein';
import { describe, expect, it } from 'vitest';
import { closeness, closestWord, editDistance } from './similar.js';

describe('editDistance', () => {
  it.each([
    ['', 'abc', 3],
    ['lr', 'rl', 1],
    ['depth', 'depht', 1],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
  ])('from %j to %j is %d', (a, b, edits) => {
    expect(editDistance(a, b)).toBe(edits);
    expect(editDistance(b, a)).toBe(edits);
    expect(editDistance(a, b)).toBeLessThanOrEqual(distance(a, b));
  });
});

describe('closeness', () => {
  it.each([
    ['DEPHT', 'DEPTH'],
    ['DEPT', 'DEPTH'],
    ['DEPPTH', 'DEPTH'],
    ['depth', 'DEPTH'],
    ['base-lr', 'BASE_LR'],
    ['BASELR', 'BASE_LR'],
  ])('finds %s close to %s', (a, b) => {
    expect(closeness(a, b)).toBeLessThanOrEqual(1);
  });

  it.each([
    ['WIDTH', 'DEPTH'],
    ['LR', 'BASE_LR'],
    ['ARCH', 'STM'],
    ['', 'A'],
    ['ENABLE', 'ENGINE'],
  ])('does not find %s close to %s', (a, b) => {
    expect(closeness(a, b)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('closestWord', () => {
  it('returns a similar word, a word with the given part, or null', () => {
    const words = ['warmup_multi_step', 'half_period_cosine'];
    expect(closestWord('warmup-multistep', words)).toBe('warmup_multi_step');
    expect(closestWord('cosine', words)).toBe('half_period_cosine');
    expect(closestWord('poly', words)).toBeNull();
    expect(closestWord('evaluation', ['evaluate', 'detect'])).toBeNull();
    expect(closestWord('eval', ['evaluate', 'detect'])).toBe('evaluate');
  });
});

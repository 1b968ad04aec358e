/** @file Parsers of numbers in options. */
import { describe, expect, it } from 'vitest';
import { number, wholeNumber, wholeNumbers } from './parsers.js';

describe('number', () => {
  it.each([
    ['0.3', 0.3],
    ['-900', -900],
    ['1e-3', 0.001],
  ])('takes %s', (text, value) => {
    expect(number()(text)).toBe(value);
  });

  it.each(['', ' ', 'fast', 'Infinity', 'NaN', '1,5'])('refuses "%s"', (text) => {
    expect(() => number()(text)).toThrow(/^expected a number\.$/);
  });

  it('names the range of the numbers that it takes', () => {
    expect(number({ min: 0, max: 1 })('1')).toBe(1);
    expect(() => number({ min: 0, max: 1 })('1.5')).toThrow('expected a number from 0 to 1.');
    expect(() => number({ min: 0.001 })('0')).toThrow('expected a number from 0.001.');
  });
});

describe('wholeNumber', () => {
  it('takes whole numbers in the range, negative ones included', () => {
    expect(wholeNumber()('-7')).toBe(-7);
    expect(wholeNumber({ min: 1, max: 65535 })('8000')).toBe(8000);
  });

  it.each(['', '1.5', '9007199254740993', 'x'])('refuses "%s"', (text) => {
    expect(() => wholeNumber()(text)).toThrow(/^expected a whole number\.$/);
  });

  it('refuses numbers outside the range', () => {
    expect(() => wholeNumber({ min: 1 })('0')).toThrow('expected a whole number from 1.');
    expect(() => wholeNumber({ min: 1, max: 65535 })('65536')).toThrow('from 1 to 65535.');
  });
});

describe('wholeNumbers', () => {
  it('takes a list', () => {
    expect(wholeNumbers('0,100, 23048')).toEqual([0, 100, 23048]);
  });

  it.each(['', '1,,2', '-1', '1.5', 'a'])('refuses "%s"', (text) => {
    expect(() => wholeNumbers(text)).toThrow(/separated by commas/);
  });
});

/** @file Parsers of numbers in options. They throw InvalidArgumentError, which commander shows with the option's name. */
import { InvalidArgumentError } from 'commander';

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Returns a parser of finite numbers in a range. */
export function number({ min, max }: Range = {}): (text: string) => number {
  return (text) => inRange('a number', toNumber(text), { min, max });
}

/** Returns a parser of whole numbers in a range. */
export function wholeNumber({ min, max }: Range = {}): (text: string) => number {
  return (text) => {
    const value = toNumber(text);
    return inRange('a whole number', Number.isSafeInteger(value) ? value : Number.NaN, { min, max });
  };
}

/** Parses whole numbers from 0, separated by commas. */
export function wholeNumbers(text: string): number[] {
  const values = text.split(',').map(toNumber);
  if (!values.every((value) => Number.isSafeInteger(value) && value >= 0))
    throw new InvalidArgumentError('expected whole numbers separated by commas, such as 0,100,23048.');
  return values;
}

/** Parses names separated by commas. */
export function names(text: string): string[] {
  const found = text.split(',').map((name) => name.trim());
  if (found.includes('')) throw new InvalidArgumentError('expected names separated by commas.');
  return found;
}

function toNumber(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}

function inRange(kind: string, value: number, { min, max }: Range): number {
  if (Number.isFinite(value) && value >= (min ?? value) && value <= (max ?? value)) return value;
  const from = min === undefined ? '' : ` from ${min}`;
  const to = max === undefined ? '' : ` to ${max}`;
  throw new InvalidArgumentError(`expected ${kind}${from}${to}.`);
}

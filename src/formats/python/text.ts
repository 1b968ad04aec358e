/** @file Numbers and collections as Python prints them, so that logs compare with the official code's. */
import { formatFloat } from './literals.js';

/** `repr` of a float: 1 → `1.0`, 0.00001 → `1e-05`. */
export function pythonFloat(value: number): string {
  return formatFloat(value).replace('.0e', 'e');
}

/** The repr of a list of floats, e.g. `[0.75, 1.0]`. */
export function pythonFloatList(values: readonly number[]): string {
  return `[${values.map(pythonFloat).join(', ')}]`;
}

/** The repr of a set of strings, e.g. `{'pos_embed'}`, or `set()` if it is empty. */
export function pythonStringSet(values: ReadonlySet<string>): string {
  return values.size === 0 ? 'set()' : `{${Array.from(values, (value) => `'${value}'`).join(', ')}}`;
}

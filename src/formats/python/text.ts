/** @file Numbers and collections as Python prints them, so that logs compare with the official code's. */

/** `repr` of a float: 1 → `1.0`, 0.00001 → `1e-05`. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [mantissa, exponentText] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}

/** The repr of a list of floats, e.g. `[0.75, 1.0]`. */
export function pythonFloatList(values: readonly number[]): string {
  return `[${values.map(pythonFloat).join(', ')}]`;
}

/** The repr of a set of strings, e.g. `{'pos_embed'}`, or `set()` if it is empty. */
export function pythonStringSet(values: ReadonlySet<string>): string {
  return values.size === 0 ? 'set()' : `{${Array.from(values, (value) => `'${value}'`).join(', ')}}`;
}

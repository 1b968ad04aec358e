/** @file Turns assignments into a configuration: decodes values, checks every key, then the rules across keys. */
import type { TSchema } from '@sinclair/typebox';
import { formatPythonLiteral, parsePythonLiteral } from '../formats/python/literals.js';
import { PyFloat, PyTuple } from '../formats/python/values.js';
import {
  describeDefault,
  describeType,
  describeValue,
  describeWords,
  formatOrigin,
  nearestClause,
  type Origin,
  type Problem,
} from './messages.js';
import type { Assignment } from './overrides.js';
import { RULES } from './rules.js';
import { type Config, FIELDS, getValue, setValue } from './schema/index.js';
import { validate } from './validator.js';

/** Sets the values in a copy of `base`, later ones over earlier ones, and reports every value that does not fit. */
export function assign(
  base: Config,
  assignments: readonly Assignment[],
): { config: Config; origins: Map<string, Origin>; problems: Problem[] } {
  const config = structuredClone(base);
  const origins = new Map<string, Origin>();
  for (const path of FIELDS.keys()) origins.set(path, { source: 'default' });
  const found = new Map<string, Found>();
  for (const { key, value, origin, written } of assignments) {
    const raw = typeof value === 'string' ? decode(value) : value;
    found.set(key, { value: raw, written: typeof value === 'string' ? value : written });
    setValue(config, key, convert(raw, FIELDS.get(key)!));
    origins.set(key, origin);
  }
  validate(config);
  const wrong = new Set(validate.errors?.map(({ instancePath }) => fieldOf(instancePath)));
  const problems = [...wrong].map((key): Problem => {
    const what = found.get(key) ?? { value: getValue(config, key) };
    return { origin: origins.get(key)!, key, message: mismatch(FIELDS.get(key)!, what) };
  });
  return { config, origins, problems };
}

/** A value that was set, and the text from which it was read, if any. */
interface Found {
  value: unknown;
  written?: string;
}

/** Returns the value of a Python literal, or the text itself if it is none. */
function decode(text: string): unknown {
  const literal = parsePythonLiteral(text);
  return literal === undefined ? text : literal;
}

/** Returns the key that a JSON pointer leads to or into. */
function fieldOf(pointer: string): string {
  const names = pointer.slice(1).split('/');
  while (!FIELDS.has(names.join('.'))) names.pop();
  return names.join('.');
}

/**
 * Converts a decoded value to the form that the schema's type has in JSON. A value that does not fit stays as it is, so
 * that the check finds it. A whole float stays a PyFloat if an int is expected, because JSON cannot tell them apart.
 */
function convert(value: unknown, schema: TSchema): unknown {
  if (schema.anyOf) return convert(value, schema.anyOf[0]);
  if (value instanceof PyTuple) return convert(value.items, schema);
  if (Array.isArray(value) && schema.type === 'array') {
    // YAML reads some numbers as strings, e.g. `[1e-4]`.
    return value.map((item) =>
      convert(typeof item === 'string' && schema.items.type !== 'string' ? decode(item) : item, schema.items),
    );
  }
  if (value instanceof PyFloat && schema.type === 'number') return value.value;
  if (typeof value === 'bigint' && schema.type === 'number') return Number(value);
  if (typeof value === 'string' && schema.anyCase) {
    return schema.enum.find((word: string) => word.toLowerCase() === value.toLowerCase()) ?? value;
  }
  return value;
}

function mismatch(schema: TSchema, { value, written = describeValue(value) }: Found): string {
  const words: string[] | undefined = schema.type === 'string' ? (schema.usable ?? schema.enum) : undefined;
  const parts = [
    `expected ${words ? describeWords(words) : describeType(schema)}, found ${describeValue(value)}`,
  ];
  const nearest = words && typeof value === 'string' ? nearestClause(value, words) : '';
  if (nearest !== '') parts.push(nearest);
  if (schema.type === 'string' && typeof value !== 'string' && value !== null && !/['"]/.test(written)) {
    parts.push(`to keep it as text, write it in two kinds of quotes: "'${written}'"`);
  }
  if (schema.type === 'array' && schema.items.type === 'string' && typeof value === 'string')
    parts.push(`write it as a list: "${formatPythonLiteral(listed(value))}"`);
  if (schema.type === 'array' && schema.items.type === 'string' && hasNumbers(value))
    parts.push(`write a name that looks like a number in two kinds of quotes, as in ["'01'"]`);
  if (schema.type === 'number' && typeof value === 'string' && DECIMAL_COMMA.test(value))
    parts.push(`write a decimal point: ${value.replace(',', '.')}`);
  if (schema.wholeNumberAdvice && value instanceof PyFloat) parts.push(schema.wholeNumberAdvice);
  if (value === null) parts.push(`omit the key to use its default, ${describeDefault(schema)}`);
  return parts.join('; ');
}

/** A number with a comma in place of the decimal point. */
const DECIMAL_COMMA = /^[-+]?\d+,\d+(?:[eE][-+]?\d+)?$/;

/** Whether a list has items that YAML or Python reads as numbers or booleans. */
function hasNumbers(value: unknown): boolean {
  const items = value instanceof PyTuple ? value.items : value;
  return Array.isArray(items) && items.some((item) => typeof item !== 'string');
}

/** Returns the names in a text such as `a.csv` or `[a.csv, b.csv]`. */
function listed(text: string): string[] {
  return text
    .replace(/^[[(]|[\])]$/g, '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}

/**
 * Checks the rules across keys, except those about keys in `wrong` and those that depend on a broken rule. A rule that only
 * defaults break is reported, at `fallback`, only if it has a text for this, `required`.
 */
export function checkRules(
  config: Config,
  origins: ReadonlyMap<string, Origin>,
  wrong: ReadonlySet<string>,
  fallback: Origin,
): Problem[] {
  const problems: Problem[] = [];
  const doubtful = new Set(wrong);
  for (const rule of RULES) {
    const { keys, needs = [], required } = rule;
    if ([...keys, ...needs].some((key) => doubtful.has(key)) || rule.holds(config)) continue;
    const [key] = keys;
    doubtful.add(key);
    const origin = origins.get(latest(keys, origins))!;
    if (origin.source === 'default') {
      if (required) problems.push({ origin: fallback, key, message: required(config) });
      continue;
    }
    const found = keys.map((name) => {
      const value = describeValue(getValue(config, name));
      return `${keys.length > 1 ? `${name} ` : ''}${value} (${formatOrigin(origins.get(name)!)})`;
    });
    problems.push({ origin, key, message: `${rule.expected(config)}; found ${found.join(', ')}` });
  }
  return problems;
}

/** Returns the key that was set last, where the mistake most likely is. */
function latest(keys: readonly string[], origins: ReadonlyMap<string, Origin>): string {
  const isFrom = (source: Origin['source']) => (key: string) => origins.get(key)!.source === source;
  return (
    keys.find(isFrom('override')) ?? keys.find(isFrom('program')) ?? keys.find(isFrom('file')) ?? keys[0]
  );
}

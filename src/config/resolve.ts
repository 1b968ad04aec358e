/** @file From assignments to a configuration: decode, convert, check every key, then what keys need of each other. */
import type { TSchema } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { formatPythonLiteral, parsePythonLiteral } from '../formats/python/literals.js';
import { PyFloat, PyTuple } from '../formats/python/values.js';
import {
  describeDefault,
  describeType,
  describeValue,
  formatOrigin,
  nearestWord,
  type Origin,
  type Problem,
} from './messages.js';
import type { Assignment } from './overrides.js';
import { RULES } from './rules.js';
import { type Config, ConfigSchema, FIELDS, getValue, OWN_KEYWORDS, setValue } from './schema/index.js';

const ajv = new Ajv({ allErrors: true }).addVocabulary(OWN_KEYWORDS);
const validate = ajv.compile(ConfigSchema);

/** Puts the values into a copy of `base`, later ones over earlier ones, and reports every one that does not fit. */
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

/** A value that was set, and the text that it was read from where there was one. */
interface Found {
  value: unknown;
  written?: string;
}

/** The value of a Python literal; any other text stands for itself. */
function decode(text: string): unknown {
  const literal = parsePythonLiteral(text);
  return literal === undefined ? text : literal;
}

/** The key that a JSON pointer leads to or into. */
function fieldOf(pointer: string): string {
  const names = pointer.slice(1).split('/');
  while (!FIELDS.has(names.join('.'))) names.pop();
  return names.join('.');
}

/**
 * A decoded value in the form that the schema's type has in JSON. Whatever does not fit is left as it is, for the
 * check to find: among it whole floats where an int is expected, which JSON could not tell apart.
 */
function convert(value: unknown, schema: TSchema): unknown {
  if (schema.anyOf) return convert(value, schema.anyOf[0]);
  if (value instanceof PyTuple) return convert(value.items, schema);
  if (Array.isArray(value) && schema.type === 'array') {
    // Words in a list of numbers are literals that YAML does not know as such: `[1e-4]`.
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
  const parts = [`expected ${describeType(schema)}, found ${describeValue(value)}`];
  if (schema.enum && typeof value === 'string') parts.push(`nearest: ${nearestWord(value, schema.enum)}`);
  if (schema.type === 'string' && typeof value !== 'string' && value !== null && !/['"]/.test(written)) {
    parts.push(`to keep it as text write it in two kinds of quotes: "'${written}'"`);
  }
  if (schema.type === 'array' && schema.items.type === 'string' && typeof value === 'string')
    parts.push(`write it as a list: "${formatPythonLiteral(listed(value))}"`);
  if (schema.type === 'array' && schema.items.type === 'string' && hasNumbers(value))
    parts.push(`write a name that looks like a number in two kinds of quotes, as in ["'01'"]`);
  if (schema.ofFractions && value instanceof PyFloat) parts.push(schema.ofFractions);
  if (value === null) parts.push(`leave the key out for its default, ${describeDefault(schema)}`);
  return parts.join('; ');
}

/** Whether a list has items that YAML or Python reads as numbers or truth values. */
function hasNumbers(value: unknown): boolean {
  const items = value instanceof PyTuple ? value.items : value;
  return Array.isArray(items) && items.some((item) => typeof item !== 'string');
}

/** The names in a text such as `a.csv` or `[a.csv, b.csv]`. */
function listed(text: string): string[] {
  return text
    .replace(/^[[(]|[\])]$/g, '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}

/** What keeps the configuration from running although every key is fine by itself; keys in `wrong` are not asked. */
export function checkRules(
  config: Config,
  origins: ReadonlyMap<string, Origin>,
  wrong: ReadonlySet<string | undefined>,
  file: string,
): Problem[] {
  const problems: Problem[] = [];
  for (const rule of RULES) {
    if (rule.keys.some((key) => wrong.has(key)) || rule.holds(config)) continue;
    const [key] = rule.keys;
    const found = rule.keys.map((name) => {
      const value = describeValue(getValue(config, name));
      return `${rule.keys.length > 1 ? `${name} ` : ''}${value} (${formatOrigin(origins.get(name)!)})`;
    });
    const origin = origins.get(latest(rule.keys, origins))!;
    problems.push({
      origin: origin.source === 'default' ? { source: 'file', file } : origin,
      key,
      message: `${rule.expected(config)}; found ${found.join(', ')}`,
    });
  }
  return problems;
}

/** The key that was set last, which is the likeliest place of a mistake. */
function latest(keys: readonly string[], origins: ReadonlyMap<string, Origin>): string {
  const isFrom = (source: Origin['source']) => (key: string) => origins.get(key)!.source === source;
  return keys.find(isFrom('override')) ?? keys.find(isFrom('file')) ?? keys[0];
}

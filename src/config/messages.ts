/** @file Messages of configuration errors: origin, key, expected and found value, and the nearest known name. */
import type { TSchema } from '@sinclair/typebox';
import { distance } from 'fastest-levenshtein';
import { ConfigError } from '../errors.js';
import { formatFloat, formatPythonLiteral } from '../formats/python/literals.js';
import { FIELDS, SECTIONS } from './schema/index.js';

/** Origin of a value. */
export interface Origin {
  source: 'default' | 'file' | 'override' | 'program';
  file?: string;
  line?: number;
}

/** One mistake in a configuration. */
export interface Problem {
  origin: Origin;
  /** Full path of the key, if the problem has one. */
  key?: string;
  message: string;
}

export function formatOrigin(origin: Origin): string {
  if (origin.source === 'override') return 'command line';
  if (origin.source === 'default') return 'default';
  if (origin.source === 'program') return 'program';
  return origin.line === undefined ? origin.file! : `${origin.file}:${origin.line}`;
}

const MAX_LINES = 100;

function formatProblem({ origin, key, message }: Problem): string {
  return [formatOrigin(origin), ...(key === undefined ? [] : [key]), message].join(': ');
}

/** Throws one ConfigError that lists every problem: first those of the file, by line, then the others. */
export function throwProblems(problems: readonly Problem[]): never {
  const rank = { file: 0, default: 1, override: 2, program: 2 };
  const sorted = problems.toSorted(
    (a, b) => rank[a.origin.source] - rank[b.origin.source] || (a.origin.line ?? 0) - (b.origin.line ?? 0),
  );
  const lines = sorted.slice(0, MAX_LINES).map(formatProblem);
  if (problems.length === 1) throw new ConfigError(lines[0]);
  if (problems.length > MAX_LINES) lines.push(`… and ${problems.length - MAX_LINES} more`);
  throw new ConfigError(
    `${problems.length} problems in the configuration:\n${lines.map((line) => `  ${line}`).join('\n')}`,
  );
}

const MAX_VALUE_LENGTH = 80;

/** Formats a value as Python would print it, shortened if it is long. */
export function describeValue(value: unknown): string {
  const text = formatPythonLiteral(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text;
}

function describeRange(schema: TSchema): string {
  const { minimum: low, maximum: high, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  if ((low ?? above) !== undefined && (high ?? below) !== undefined) {
    return ` in ${low === undefined ? '(' : '['}${low ?? above}, ${high ?? below}${high === undefined ? ')' : ']'}`;
  }
  if (low !== undefined) return ` ≥ ${low}`;
  return above === undefined ? '' : ` > ${above}`;
}

/** Describes the values that a key accepts, e.g. `int ≥ 1`, `float in [0, 1)`, `'linear' or 'constant'`. */
export function describeType(schema: TSchema): string {
  if (schema.anyOf) return schema.anyOf.map(describeType).join(' or ');
  if (schema.enum) {
    const words = schema.enum.map(formatPythonLiteral);
    return words.length > 2 ? `one of ${words.join(', ')}` : words.join(' or ');
  }
  switch (schema.type) {
    case 'integer':
      return `int${describeRange(schema)}`;
    case 'number':
      return `float${describeRange(schema)}`;
    case 'boolean':
      return 'True or False';
    case 'null':
      return 'None';
    case 'string':
      return schema.minLength ? 'non-empty string' : 'string';
    default:
      return describeList(schema);
  }
}

function describeList(schema: TSchema): string {
  const item = schema.items.type === 'boolean' ? 'bool' : describeType(schema.items);
  const { minItems: min, maxItems: max } = schema;
  if (min !== undefined && min === max) return `list of ${min} × ${item}`;
  if (max !== undefined) return `list of ${min ?? 0} to ${max} × ${item}`;
  return `${min ? 'non-empty ' : ''}list of ${item}`;
}

/** Default value of a key, as the configuration reference and error messages show it. */
export function describeDefault(schema: TSchema): string {
  if (schema.type === 'number') return formatFloat(schema.default);
  return formatPythonLiteral(schema.default);
}

/** Distance between two names, from 0 (equal except for letter case) to 1. */
function difference(a: string, b: string): number {
  const length = Math.max(a.length, b.length, 1);
  return distance(a.toLowerCase(), b.toLowerCase()) / length;
}

/** Number of characters of a name that are compared. Comparing more would be slow. */
const MAX_NAME_LENGTH = 200;

/** Difference from which two names are too different for a typing mistake. */
const MAX_DIFFERENCE = 0.4;

/**
 * Finds the known key nearest to an unknown one: a similar name, or the same name in another section. Prefers keys that
 * have an effect. Returns null if no key is similar.
 */
export function nearestKey(path: string): string | null {
  const wanted = path.slice(0, MAX_NAME_LENGTH);
  const parent = parentOf(wanted);
  const name = lastOf(wanted);
  let best: string | null = null;
  let bestScore = MAX_DIFFERENCE;
  for (const [candidate, schema] of [...FIELDS, ...SECTIONS]) {
    if (candidate === parent) continue;
    const elsewhere = parentOf(candidate) === parent ? 0 : 0.15;
    const score =
      Math.min(difference(candidate, wanted), difference(lastOf(candidate), name) + elsewhere) +
      (schema.noEffect ? 0.1 : 0);
    if (score < bestScore) {
      bestScore = score;
      best = candidate;
    }
  }
  return best;
}

/** Returns the allowed word that is nearest to `word`. */
export function nearestWord(word: string, words: readonly string[]): string {
  return words.toSorted((a, b) => difference(a, word) - difference(b, word))[0];
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('.')));
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** Keys by which configurations of other programs include a file. */
const BASE_FILE = /^_*(base|include|inherit)_*$/i;

export function unknownKey(path: string): string {
  if (BASE_FILE.test(path))
    return 'unknown key; a configuration cannot include another file: copy the settings of that file into this one';
  const nearest = nearestKey(path);
  return nearest
    ? `unknown key; did you mean ${nearest}?`
    : 'unknown key; docs/config-reference.md lists all keys';
}

/** @file The wording of configuration errors: where, which key, what was expected, what was found, what is near. */
import type { TSchema } from '@sinclair/typebox';
import { distance } from 'fastest-levenshtein';
import { ConfigError } from '../errors.js';
import { formatFloat, formatPythonLiteral } from '../formats/python/literals.js';
import { FIELDS, SECTIONS } from './schema/index.js';

/** Where a value comes from. */
export interface Origin {
  source: 'default' | 'file' | 'override';
  file?: string;
  line?: number;
}

/** One thing that is wrong. */
export interface Problem {
  origin: Origin;
  /** Full path of the key, where there is one. */
  key?: string;
  message: string;
}

export function formatOrigin(origin: Origin): string {
  if (origin.source === 'override') return 'command line';
  if (origin.source === 'default') return 'default';
  return origin.line === undefined ? origin.file! : `${origin.file}:${origin.line}`;
}

const MAX_LINES = 100;

function formatProblem({ origin, key, message }: Problem): string {
  return [formatOrigin(origin), ...(key === undefined ? [] : [key]), message].join(': ');
}

/** Throws one ConfigError that lists every problem: those of the file by line, then those of the command line. */
export function throwProblems(problems: readonly Problem[]): never {
  const rank = { file: 0, default: 1, override: 2 };
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

const LONGEST_VALUE = 80;

/** A value as Python would print it, with its kind where that is what matters; long ones are cut. */
export function describeValue(value: unknown): string {
  const text = formatPythonLiteral(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

function describeRange(schema: TSchema): string {
  const { minimum: low, maximum: high, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  if ((low ?? above) !== undefined && (high ?? below) !== undefined) {
    return ` in ${low === undefined ? '(' : '['}${low ?? above}, ${high ?? below}${high === undefined ? ')' : ']'}`;
  }
  if (low !== undefined) return ` ≥ ${low}`;
  return above === undefined ? '' : ` > ${above}`;
}

/** What a key accepts, in a few words: `int ≥ 1`, `float in [0, 1)`, `list of 3 floats`, `'linear' or 'constant'`. */
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
  const { minItems: least, maxItems: most } = schema;
  if (least !== undefined && least === most) return `list of ${least} × ${item}`;
  if (most !== undefined) return `list of ${least ?? 0} to ${most} × ${item}`;
  return `${least ? 'non-empty ' : ''}list of ${item}`;
}

/** A default in the table of keys and in error messages. */
export function describeDefault(schema: TSchema): string {
  if (schema.type === 'number') return formatFloat(schema.default);
  return formatPythonLiteral(schema.default);
}

/** Distance between two names, 0 (the same but for capitals) to 1. */
function difference(a: string, b: string): number {
  const length = Math.max(a.length, b.length, 1);
  return distance(a.toLowerCase(), b.toLowerCase()) / length;
}

/** Names longer than this are no typing slips, and comparing them would take long. */
const LONGEST_NAME = 200;

/** Names that differ by more than this are not the same name with a slip in it. */
const FARTHEST = 0.4;

/**
 * The known key nearest to an unknown one: a similar name, or the same name in another section; null if none is like it.
 * Keys that have an effect win over those that have none.
 */
export function nearestKey(path: string): string | null {
  const wanted = path.slice(0, LONGEST_NAME);
  const parent = parentOf(wanted);
  const name = lastOf(wanted);
  let best: string | null = null;
  let least = FARTHEST;
  for (const [candidate, schema] of [...FIELDS, ...SECTIONS]) {
    if (candidate === parent) continue;
    const elsewhere = parentOf(candidate) === parent ? 0 : 0.15;
    const score =
      Math.min(difference(candidate, wanted), difference(lastOf(candidate), name) + elsewhere) +
      (schema.noEffect ? 0.1 : 0);
    if (score < least) {
      least = score;
      best = candidate;
    }
  }
  return best;
}

/** The allowed word nearest to another one. */
export function nearestWord(word: string, words: readonly string[]): string {
  return words.toSorted((a, b) => difference(a, word) - difference(b, word))[0];
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('.')));
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** Keys by which the configurations of other programs build on another file. */
const BASE_FILE = /^_*(base|include|inherit)_*$/i;

export function unknownKey(path: string): string {
  if (BASE_FILE.test(path))
    return 'unknown key; a configuration cannot build on another file here: copy the settings of that file into this one';
  const nearest = nearestKey(path);
  return nearest ? `unknown key; did you mean ${nearest}?` : 'unknown key; README.md lists all keys';
}

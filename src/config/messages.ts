/** @file Messages of configuration errors: origin, key, expected and found value, and the nearest known name. */
import type { TSchema } from '@sinclair/typebox';
import { ConfigError } from '../errors.js';
import { formatFloat, formatPythonLiteral } from '../formats/python/literals.js';
import { closeness, closestWord, plainName } from '../util/similar.js';
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
  /** Known keys and sections that were probably meant. What depends on their values is not checked. */
  meant?: readonly string[];
}

export function formatOrigin(origin: Origin): string {
  if (origin.source === 'override') return 'command line';
  if (origin.source === 'default') return 'default';
  if (origin.source === 'program') return 'program';
  return origin.line === undefined ? origin.file! : `${origin.file}:${origin.line}`;
}

const MAX_LINES = 100;
/** Place of a problem that has no line: something that the file lacks. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER;

function formatProblem({ origin, key, message }: Problem): string {
  return [formatOrigin(origin), ...(key === undefined ? [] : [key]), message].join(': ');
}

/** Throws one ConfigError that lists every problem: first those of the file, by line, then what it lacks, then the others. */
export function throwProblems(problems: readonly Problem[]): never {
  const rank = { file: 0, default: 1, override: 2, program: 2 };
  const sorted = problems.toSorted(
    (a, b) =>
      rank[a.origin.source] - rank[b.origin.source] ||
      (a.origin.line ?? AFTER_ALL) - (b.origin.line ?? AFTER_ALL),
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
  if (schema.enum) return describeWords(schema.enum);
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

/** Describes a choice between words. */
export function describeWords(words: readonly string[]): string {
  const quoted = words.map(formatPythonLiteral);
  return quoted.length > 2 ? `one of ${quoted.join(', ')}` : quoted.join(' or ');
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

/** How far a known key is from an unknown one: 0 is the same name; infinite if it is not close. */
function distanceTo(candidate: string, wanted: string): number {
  const [name, parent] = [lastOf(wanted), parentOf(wanted)];
  if (plainName(candidate) === plainName(wanted)) return 0;
  const names = closeness(lastOf(candidate), name);
  if (parentOf(candidate) === parent) return names;
  // Mistakes in the name of the section, and perhaps in the key too.
  const sections = closeness(parentOf(candidate), parent) + names;
  if (Number.isFinite(sections)) return sections;
  // The key of another section, or one without its section: a name that is merely similar is not meant.
  if (names === 0) return ELSEWHERE;
  const joined = closeness(candidate, wanted);
  return joined === 1 || (names === 1 && isSlip(lastOf(candidate), name))
    ? ELSEWHERE + 1
    : Number.POSITIVE_INFINITY;
}

/** Distance of a key with the same name in another section. */
const ELSEWHERE = 2;

/** Whether two names one edit apart differ by an exchanged, missing or doubled letter, not by another letter. */
function isSlip(a: string, b: string): boolean {
  const letters = (name: string) => [...plainName(name)].sort().join('');
  return plainName(a).length !== plainName(b).length || letters(a) === letters(b);
}

/** Maximum number of keys that a message suggests. */
const MAX_SUGGESTED = 3;

/**
 * The known keys nearest to an unknown one: similar names, or the same name in other sections. Prefers keys that have an
 * effect. Empty if no key is close.
 */
export function nearestKeys(path: string): string[] {
  const parent = parentOf(path);
  let best: string[] = [];
  let bestScore = Number.POSITIVE_INFINITY;
  for (const [candidate, schema] of [...FIELDS, ...SECTIONS]) {
    if (candidate === parent) continue;
    const score = distanceTo(candidate, path) + (schema.noEffect ? 0.5 : 0);
    if (score < bestScore) [best, bestScore] = [[], score];
    if (score === bestScore && Number.isFinite(score)) best.push(candidate);
  }
  return best.length <= MAX_SUGGESTED ? best : [];
}

/** Names the allowed word that a mistyped one seems to mean; empty if none is close. */
export function nearestClause(word: string, words: readonly string[]): string {
  const nearest = closestWord(word, words);
  return nearest === null ? '' : `nearest: ${nearest}`;
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
  if (/[()[\]]/.test(lastOf(path)))
    return 'is a part of a list, not a key; between { and } a list is written [1, 2], not (1, 2)';
  const nearest = nearestKeys(path);
  return nearest.length > 0
    ? `unknown key; did you mean ${nearest.join(' or ')}?`
    : 'unknown key; docs/config-reference.md lists all keys';
}

/** The known keys and sections that an unknown or wrong key may stand for: itself if it is known, else the nearest. */
export function meantBy(path: string): string[] {
  return FIELDS.has(path) || SECTIONS.has(path) ? [path] : nearestKeys(path);
}

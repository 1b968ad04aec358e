/** @file Parsing the `KEY VALUE …` arguments at the end of a command line. */
import { shellWord } from '../util/text.js';
import { meantBy, nearestKeys, type Origin, type Problem, unknownKey } from './messages.js';
import { FIELDS, SECTIONS } from './schema/index.js';

const origin: Origin = { source: 'override' };

/** A value for a known key, not yet decoded or checked. */
export interface Assignment {
  key: string;
  value: unknown;
  origin: Origin;
  /** The value as the file writes it, if that differs from `value`. */
  written?: string;
}

/** Pairs keys with values, in the order of the arguments. */
export function parseOverrides(args: readonly string[]): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  const complain = (message: string, key?: string) =>
    problems.push({ origin, key, message, meant: key === undefined ? [] : meantBy(key) });
  for (let i = 0; i < args.length; i++) {
    const key = args[i];
    const value = args[i + 1];
    const equation = splitEquation(key);
    if (equation) {
      complain(
        `write the key and its value as two words: ${equation.key} ${shellWord(equation.value)}`,
        equation.key,
      );
    } else if (key.startsWith('-')) {
      complain(`expected a key, found ${key}; flags come before the first KEY VALUE pair`);
    } else if (value === undefined || (FIELDS.has(value) && (args.length - i) % 2 === 1)) {
      complain(
        `expected a value after the key, found ${value === undefined ? 'nothing' : `the key ${value}`}`,
        key,
      );
    } else {
      if (FIELDS.has(key)) assignments.push({ key, value, origin });
      else if (SECTIONS.has(key))
        complain(`is a section; set its keys one by one, e.g. ${firstField(key)}`, key);
      else complain(unknownKey(key), key);
      i++;
    }
  }
  return { assignments, problems };
}

/** Splits `KEY=VALUE`, if KEY is a known key or nearly one. Returns null for a path or text that contains `=`. */
function splitEquation(word: string): { key: string; value: string } | null {
  const match = /^([A-Za-z_][\w.]*)=(.*)$/s.exec(word);
  if (!match) return null;
  const [, name, value] = match;
  const [key] = FIELDS.has(name) ? [name] : nearestKeys(name);
  return key === undefined ? null : { key, value };
}

function firstField(section: string): string {
  return [...FIELDS.keys()].find((path) => path.startsWith(`${section}.`))!;
}

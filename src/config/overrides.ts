/** @file The `KEY VALUE …` words at the end of a command line. */
import { shellWord } from '../util/text.js';
import { nearestKey, type Origin, type Problem, unknownKey } from './messages.js';
import { FIELDS, SECTIONS } from './schema/index.js';

const origin: Origin = { source: 'override' };

/** A value for a key that exists, not decoded or checked yet. */
export interface Assignment {
  key: string;
  value: unknown;
  origin: Origin;
  /** The value as it was written, where that is known and is not the value itself. */
  written?: string;
}

/** Pairs up the words; later assignments of a key come later in the result. */
export function parseOverrides(words: readonly string[]): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  const complain = (message: string, key?: string) => problems.push({ origin, key, message });
  for (let i = 0; i < words.length; i++) {
    const key = words[i];
    const value = words[i + 1];
    const equation = splitEquation(key);
    if (equation) {
      complain(
        `write the key and its value as two words: ${equation.key} ${shellWord(equation.value)}`,
        equation.key,
      );
    } else if (key.startsWith('-')) {
      complain(`${key} stands where a key is expected; options come before the first KEY VALUE pair`);
    } else if (value === undefined || (FIELDS.has(value) && (words.length - i) % 2 === 1)) {
      complain(
        `expected a value behind the key, found ${value === undefined ? 'nothing' : `the key ${value}`}`,
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

/** `KEY=VALUE`, where KEY is one or nearly one; a path or text with `=` in it is none. */
function splitEquation(word: string): { key: string; value: string } | null {
  const match = /^([A-Za-z_][\w.]*)=(.*)$/s.exec(word);
  if (!match) return null;
  const [, name, value] = match;
  const key = FIELDS.has(name) ? name : nearestKey(name);
  return key === null ? null : { key, value };
}

function firstField(section: string): string {
  return [...FIELDS.keys()].find((path) => path.startsWith(`${section}.`))!;
}

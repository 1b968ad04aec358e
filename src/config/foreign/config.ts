/** @file Recognises configurations of other programs by their keys. */
import { firstNames } from '../../util/text.js';
import { nearestKeys } from '../messages.js';
import { FIELDS, SECTIONS } from '../schema/index.js';
import { YamlMapping } from '../yaml_mapping.js';
import { PROGRAMS, type Program } from './programs.js';
import { startFrom } from './shipped.js';

/** Sections that only STMixer has. A file with one of them is ours, whatever else it holds. */
const OWN = ['MODEL.STM', 'ViT'];
/** Minimum number of markers, unless a program says otherwise. */
const ENOUGH = 2;

/**
 * Says that a mapping is the configuration of another program, what it was recognised by, and what to do; null for one of ours,
 * even with mistakes.
 */
export function foreignConfig(root: YamlMapping): string | null {
  const paths = pathsIn(root);
  if (OWN.some((section) => paths.has(section))) return null;
  const programs = PROGRAMS.map((program) => ({ program, found: foundIn(program, paths) }))
    .filter(({ program, found }) => found.length >= (program.enough ?? ENOUGH))
    .sort((a, b) => b.found.length - a.found.length);
  if (programs.length > 0) return sentence(programs[0].program, programs[0].found);
  return unknownProgram(root);
}

function foundIn({ markers }: Program, paths: ReadonlySet<string>): string[] {
  return markers.filter((marker) => paths.has(marker) && !FIELDS.has(marker) && !SECTIONS.has(marker));
}

function sentence({ what, use }: Program, found: readonly string[]): string {
  return `this seems to be ${what} (it has ${firstNames(found)}), not a configuration of STMixer; ${use === undefined ? '' : `${use}; `}${startFrom()}`;
}

/** Minimum number of unknown keys in a file of another program. Fewer may be typing mistakes in one of ours. */
const MANY = 6;
/** Fraction of the keys that must be unknown. */
const MOST = 2 / 3;
/** Number of keys that are looked at. */
const MAX_KEYS = 200;

/** The sentence about a file of an unknown program, most of whose keys are not ours or similar. */
function unknownProgram(root: YamlMapping): string | null {
  const keys = [...pathsIn(root)].filter((path) => !SECTIONS.has(path)).slice(0, MAX_KEYS);
  const unknown = keys.filter((path) => !FIELDS.has(path) && nearestKeys(path).length === 0);
  if (unknown.length < MANY || unknown.length <= MOST * keys.length) return null;
  return (
    `this seems to be a file of another program: ${unknown.length} of its ${keys.length} keys (${firstNames(unknown)}) are not ` +
    `keys of STMixer; ${startFrom()}`
  );
}

/** Full paths of all keys and sections of a mapping. */
function pathsIn(root: YamlMapping): Set<string> {
  const paths = new Set<string>();
  const walk = (mapping: YamlMapping, prefix: string) => {
    for (const { key, value } of mapping.entries) {
      paths.add(prefix + key);
      if (value instanceof YamlMapping) walk(value, `${prefix}${key}.`);
    }
  };
  walk(root, '');
  return paths;
}

/** @file Finds names that are almost the requested one, so that a message can suggest them. */
import { existsSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { namesIn } from './folder_names.js';

/** A difference between two spellings of a name. `apply` makes names equal that differ in nothing else. */
interface Difference {
  readonly what: string;
  apply(name: string): string;
}

const PICTURE = /(?<=.)\.(jpe?g|jfif|png|webp|tiff?|gif|avif|bmp)$/i;
const VIDEO = /(?<=.)\.(mp4|m4v|mkv|webm|avi|mov|mpe?g|ts|wmv|flv|3gp)$/i;

const UNICODE: Difference = {
  what: 'the Unicode form of its letters (NFC or NFD, which look alike)',
  apply: (name) => name.normalize('NFC'),
};
const DIFFERENCES: readonly Difference[] = [
  UNICODE,
  { what: 'spaces at its ends', apply: (name) => name.trim() },
  { what: 'letter case', apply: (name) => name.toLowerCase() },
  { what: 'leading zeros', apply: (name) => name.replace(/(?<!\d)0+(?=\d)/g, '') },
  { what: 'its folder', apply: (name) => name.replace(/^.*[/\\]/, '') },
  { what: 'its ending', apply: (name) => name.replace(PICTURE, '').replace(VIDEO, '') },
];

/** All combinations of differences, small ones first. */
const CHOICES: readonly (readonly Difference[])[] = Array.from(
  { length: 2 ** DIFFERENCES.length },
  (_, bits) => DIFFERENCES.filter((_, i) => bits & (1 << i)),
).sort((a, b) => a.length - b.length);

function spell(name: string, differences: readonly Difference[]): string {
  return differences.reduce((text, { apply }) => apply(text), name);
}

/** The smallest combination that makes the names equal, or null if there is none. */
function differencesOf(a: string, b: string): readonly Difference[] | null {
  return CHOICES.find((choice) => spell(a, choice) === spell(b, choice)) ?? null;
}

/** The name that differs least from the requested one. */
export interface TwinName {
  readonly name: string;
  /** The differences in words, e.g. `letter case and leading zeros`. */
  readonly how: string;
}

interface NearName {
  readonly name: string;
  readonly differences: readonly Difference[];
}

/** Names that can be looked up by similar spellings. */
export class Names {
  readonly #byKey = new Map<string, string[]>();

  constructor(names: Iterable<string>) {
    for (const name of names) {
      const key = spell(name, DIFFERENCES);
      const others = this.#byKey.get(key);
      if (others) others.push(name);
      else this.#byKey.set(key, [name]);
    }
  }

  /** The name that differs from `name` only in spelling, or null. */
  twinOf(name: string): TwinName | null {
    const near = this.near(name);
    return near && { name: near.name, how: inWords(near.differences) };
  }

  /** The most similar name with the differences themselves, or null. */
  near(name: string): NearName | null {
    const found = (this.#byKey.get(spell(name, DIFFERENCES)) ?? []).flatMap((other) => {
      const differences = differencesOf(name, other);
      return differences ? [{ name: other, differences }] : [];
    });
    return found.sort((a, b) => a.differences.length - b.differences.length)[0] ?? null;
  }
}

function inWords(differences: readonly Difference[]): string {
  return DIFFERENCES.filter((difference) => differences.includes(difference))
    .map(({ what }) => what)
    .join(' and ');
}

/** Number of folders whose listings are cached. */
const KEPT_FOLDERS = 8;

/** Finds files and folders under almost the same path. Caches the listings of the latest folders. */
export class Twins {
  readonly #folders = new Map<string, Names>();

  /**
   * A clause about the file or folder that exists in place of the missing `path`, and what to do; empty if there is none. It
   * follows "there is no such file".
   */
  clause(path: string): string {
    const twin = this.#find(path);
    if (!twin) return '';
    const { path: there, differences, backslashes } = twin;
    const how = [backslashes ? '"\\" in place of "/"' : '', inWords(differences)]
      .filter(Boolean)
      .join(' and ');
    const remedy = backslashes
      ? 'write that path, with "/"'
      : differences.includes(UNICODE)
        ? 'copy its name from the folder, or rename it'
        : 'write that name, or rename it';
    return `, but there is ${there}, which differs only in ${how}: ${remedy}`;
  }

  #find(path: string): { path: string; differences: Difference[]; backslashes: boolean } | null {
    let folder = path;
    while (!existsSync(folder)) {
      const above = dirname(folder);
      if (above === folder) return null;
      folder = above;
    }
    const rest = path.slice(folder.length);
    const differences = new Set<Difference>();
    for (const name of rest.split(/[/\\]/).filter((part) => part !== '')) {
      const exact = join(folder, name);
      if (existsSync(exact)) {
        folder = exact;
        continue;
      }
      const near = this.#namesIn(folder).near(name);
      if (!near) return null;
      for (const difference of near.differences) differences.add(difference);
      folder = join(folder, near.name);
    }
    const backslashes = sep === '/' && rest.includes('\\');
    if (folder === path || !existsSync(folder)) return null;
    return { path: folder, differences: [...differences], backslashes };
  }

  #namesIn(folder: string): Names {
    let names = this.#folders.get(folder);
    if (!names) {
      names = new Names(namesIn(folder));
      for (const oldest of this.#folders.keys()) {
        if (this.#folders.size < KEPT_FOLDERS) break;
        this.#folders.delete(oldest);
      }
      this.#folders.set(folder, names);
    }
    return names;
  }
}

/** The clause of `Twins` for one path. */
export function twinClause(path: string): string {
  return new Twins().clause(path);
}

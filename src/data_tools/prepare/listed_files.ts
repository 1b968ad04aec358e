/** @file All files below a folder: those that may be videos, and the number of others by kind. */
import { type Dirent, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '../../errors.js';
import { type FileKind, kindOfFile } from './file_kinds.js';
import { PassedOver } from './passed_over.js';

export interface ListedFile {
  readonly path: string;
  readonly bytes: number;
  /** The folder directly in the one that was looked through; null for files that are in none. */
  readonly topFolder: string | null;
  /** The reason why a video, as which its name has it, cannot be read; null otherwise. */
  readonly problem: string | null;
}

export interface ListedFiles {
  readonly videos: readonly ListedFile[];
  /** Files that may be anything, sorted like the videos. */
  readonly unknown: readonly ListedFile[];
  readonly passedOver: PassedOver;
}

/** Lists a folder and all folders in it, but none of `except`. Throws DataError for a folder that cannot be listed. */
export function listFiles(folder: string, except: readonly string[]): ListedFiles {
  let entries: Dirent[];
  try {
    entries = sortedEntries(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'there is no such folder' : code === 'ENOTDIR' ? 'it is not a folder' : message;
    throw new DataError(`${folder}: cannot list the videos: ${why}`, { cause: error });
  }
  return new Walk(folder, except).run(entries);
}

/** What lies in a folder, by name. Throws the error of the system. */
export function sortedEntries(folder: string): Dirent[] {
  return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

class Walk implements ListedFiles {
  readonly videos: ListedFile[] = [];
  readonly unknown: ListedFile[] = [];
  readonly passedOver = new PassedOver();
  /** Real paths: links may lead to a folder twice, or in a circle. */
  readonly #seen = new Set<string>();
  readonly #except: ReadonlySet<string>;
  readonly #links: { readonly path: string; readonly topFolder: string }[] = [];

  constructor(
    private readonly folder: string,
    except: readonly string[],
  ) {
    this.#except = new Set(except.flatMap((path) => realPath(path) ?? []));
    this.#seen.add(realpathSync(folder));
  }

  run(entries: readonly Dirent[]): this {
    this.#enter(this.folder, entries, null);
    // Last, so that a folder of the tree belongs to the list of its own name.
    for (const { path, topFolder } of this.#links) this.#enterFolder(path, topFolder);
    return this;
  }

  #enter(folder: string, entries: readonly Dirent[], topFolder: string | null): void {
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.name.startsWith('.')) this.passedOver.add('hidden', path);
      else if (entry.isDirectory()) this.#enterFolder(path, topFolder ?? entry.name);
      else if (entry.isSymbolicLink()) this.#follow(path, topFolder);
      else if (entry.isFile()) this.#addFile(path, topFolder);
      else this.passedOver.add('special', path);
    }
  }

  #enterFolder(path: string, topFolder: string): void {
    const real = realPath(path);
    if (real !== null && this.#except.has(real)) return;
    if (real !== null && this.#seen.has(real)) {
      this.passedOver.add('circle', path);
      return;
    }
    let entries: Dirent[];
    try {
      entries = sortedEntries(path);
    } catch {
      this.passedOver.add('unreadableFolder', path);
      return;
    }
    this.#seen.add(real ?? path);
    if (entries.length === 0) this.passedOver.add('emptyFolder', path);
    this.#enter(path, entries, topFolder);
  }

  #follow(path: string, topFolder: string | null): void {
    const stats = statOf(path);
    if (typeof stats === 'string' || stats.isFile()) this.#addFile(path, topFolder);
    else if (stats.isDirectory()) this.#links.push({ path, topFolder: topFolder ?? basename(path) });
    else this.passedOver.add('special', path);
  }

  #addFile(path: string, topFolder: string | null): void {
    const kind = kindOf(path);
    const stats = statOf(path);
    if (kind === 'video') this.videos.push({ path, topFolder, ...sizeOf(stats) });
    else if (typeof stats === 'string') this.passedOver.add(stats, path);
    else if (stats.size === 0) this.passedOver.add('emptyFile', path);
    else if (kind === 'ask') this.unknown.push({ path, topFolder, ...sizeOf(stats) });
    else this.passedOver.add(kind, path);
  }
}

type Unavailable = 'danglingLink' | 'unreadable';

const PROBLEMS: Record<Unavailable, string> = {
  danglingLink: 'it is a link to a file that does not exist',
  unreadable: 'it cannot be opened; look at the permissions of the file and its folders',
};

function sizeOf(stats: Stats | Unavailable): { bytes: number; problem: string | null } {
  if (typeof stats === 'string') return { bytes: 0, problem: PROBLEMS[stats] };
  return { bytes: stats.size, problem: stats.size === 0 ? 'the file is empty (0 bytes)' : null };
}

/** The kind of a file, also of one that cannot be read. */
export function kindOf(path: string): FileKind {
  try {
    return kindOfFile(path);
  } catch {
    return 'unreadable';
  }
}

function statOf(path: string): Stats | Unavailable {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' ? 'danglingLink' : 'unreadable';
  }
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** @file Listing all files below a folder: possible videos, and the number of other files by kind. */
import { type Dirent, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '../../errors.js';
import { sortedEntries } from '../../files/folder_names.js';
import { fileKind } from '../../media/file_kinds.js';
import { SkippedFiles } from '../../media/skipped_files.js';
import { absenceOf } from '../../util/addresses.js';

export interface ListedFile {
  readonly path: string;
  readonly bytes: number;
  /** The subfolder of the listed folder that contains the file, directly or not; null for a file in none. */
  readonly topFolder: string | null;
  /** The reason why a file with the name of a video cannot be read, or null. */
  readonly problem: string | null;
}

export interface ListedFiles {
  readonly videos: readonly ListedFile[];
  /** Files of unknown kind, sorted like the videos. */
  readonly unknown: readonly ListedFile[];
  readonly skipped: SkippedFiles;
}

/** Lists a folder and all folders below it, except `except`. Throws DataError for a folder that cannot be listed. */
export function listFiles(folder: string, except: readonly string[]): ListedFiles {
  let entries: Dirent[];
  try {
    entries = sortedEntries(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? absenceOf(folder, 'folder', 'there is no such folder')
        : code === 'ENOTDIR'
          ? 'it is not a folder'
          : message;
    throw new DataError(`${folder}: cannot list the videos: ${why}`, { cause: error });
  }
  return new Walk(folder, except).run(entries);
}

class Walk implements ListedFiles {
  readonly videos: ListedFile[] = [];
  readonly unknown: ListedFile[] = [];
  readonly skipped = new SkippedFiles();
  /** Real paths of visited folders: links may lead to a folder twice, or in a circle. */
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
    // Links come last, so that a real folder belongs to the list of its own name.
    for (const { path, topFolder } of this.#links) this.#enterFolder(path, topFolder);
    return this;
  }

  #enter(folder: string, entries: readonly Dirent[], topFolder: string | null): void {
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.name.startsWith('.')) this.skipped.add('hidden', path);
      else if (entry.isDirectory()) this.#enterFolder(path, topFolder ?? entry.name);
      else if (entry.isSymbolicLink()) this.#follow(path, topFolder);
      else if (entry.isFile()) this.#addFile(path, topFolder);
      else this.skipped.add('special', path);
    }
  }

  #enterFolder(path: string, topFolder: string): void {
    const real = realPath(path);
    if (real !== null && this.#except.has(real)) return;
    if (real !== null && this.#seen.has(real)) {
      this.skipped.add('circle', path);
      return;
    }
    let entries: Dirent[];
    try {
      entries = sortedEntries(path);
    } catch {
      this.skipped.add('unreadableFolder', path);
      return;
    }
    this.#seen.add(real ?? path);
    if (entries.length === 0) this.skipped.add('emptyFolder', path);
    this.#enter(path, entries, topFolder);
  }

  #follow(path: string, topFolder: string | null): void {
    const stats = statOf(path);
    if (typeof stats === 'string' || stats.isFile()) this.#addFile(path, topFolder);
    else if (stats.isDirectory()) this.#links.push({ path, topFolder: topFolder ?? basename(path) });
    else this.skipped.add('special', path);
  }

  #addFile(path: string, topFolder: string | null): void {
    const kind = fileKind(path);
    const stats = statOf(path);
    if (kind === 'video') this.videos.push({ path, topFolder, ...sizeOf(stats) });
    else if (typeof stats === 'string') this.skipped.add(stats, path);
    else if (stats.size === 0) this.skipped.add('emptyFile', path);
    else if (kind === 'ask') this.unknown.push({ path, topFolder, ...sizeOf(stats) });
    else this.skipped.add(kind, path);
  }
}

type Unavailable = 'danglingLink' | 'unreadable';

const PROBLEMS: Record<Unavailable, string> = {
  danglingLink: 'it is a link to a file that does not exist',
  unreadable: 'it cannot be opened; check the permissions of the file and its folders',
};

function sizeOf(stats: Stats | Unavailable): { bytes: number; problem: string | null } {
  if (typeof stats === 'string') return { bytes: 0, problem: PROBLEMS[stats] };
  return { bytes: stats.size, problem: stats.size === 0 ? 'the file is empty (0 bytes)' : null };
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

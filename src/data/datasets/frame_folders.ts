/** @file Looking up files in folders of frames with one listing per folder. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isFile } from '../../files/paths.js';
import { Twins } from '../../files/twins.js';
import { shellWord } from '../../util/text.js';
import { fileProblem, missingImage } from '../clip/image_problem.js';

/** What a path names: `odd` is a folder, or a link that leads to no file. */
export type FrameEntry = 'file' | 'missing' | 'odd';

/** Looks files up by path. It keeps the listing of one folder, so paths of a folder should come together. */
export class FrameFolders {
  /** Folders that could not be listed → the reason. */
  readonly unreadable = new Map<string, string>();
  /** Those of them that do not exist. */
  readonly absent = new Set<string>();
  readonly #twins = new Twins();
  #folder = '';
  #listing: Listing = { files: new Set(), others: new Set() };

  /**
   * Looks up a path; `unknown` if its folder cannot be listed. Only links are opened one by one, because data sets have
   * millions of files.
   */
  find(path: string): FrameEntry | 'unknown' {
    const folder = dirname(path);
    if (folder !== this.#folder) {
      this.#folder = folder;
      this.#listing = this.#read(folder);
    }
    const name = basename(path);
    if (this.#listing.others.has(name)) return isFile(path) ? 'file' : 'odd';
    if (this.#listing.files.has(name)) return 'file';
    return this.unreadable.has(folder) ? 'unknown' : 'missing';
  }

  /** Says what is wrong with a file that `find` calls missing or odd, and what to do. */
  problemOf(path: string, entry: FrameEntry): string {
    return entry === 'odd'
      ? (fileProblem(path) ?? 'it is not a file')
      : missingImage(this.#twins.clause(path));
  }

  /** Names of the files in a folder. If it cannot be listed, the result is empty and `unreadable` has the reason. */
  list(folder: string): ReadonlySet<string> {
    const { files, others } = this.#read(folder);
    const linked = [...others].filter((name) => isFile(join(folder, name)));
    return linked.length === 0 ? files : new Set([...files, ...linked]);
  }

  #read(folder: string): Listing {
    const files = new Set<string>();
    const others = new Set<string>();
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        (entry.isFile() ? files : others).add(entry.name);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.absent.add(folder);
      this.unreadable.set(folder, this.#folderProblem(folder, error as NodeJS.ErrnoException));
    }
    return { files, others };
  }

  #folderProblem(folder: string, { code, message }: NodeJS.ErrnoException): string {
    if (code === 'ENOENT') {
      const twin = this.#twins.clause(folder);
      return `the folder is missing${twin || '; extract its frames again, or correct their paths in the list'}`;
    }
    if (code === 'ENOTDIR') return 'it is a file; put a folder with the frames in its place';
    if (code === 'EACCES' || code === 'EPERM') {
      return `you have no permission to list it; let its owner run: chmod a+rx ${shellWord(folder)}`;
    }
    return `it cannot be listed: ${message}; check its disk or network share`;
  }
}

interface Listing {
  readonly files: ReadonlySet<string>;
  /** Links, folders and everything else that is not a plain file. */
  readonly others: ReadonlySet<string>;
}

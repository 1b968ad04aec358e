/** @file Which files the folders of frames have: one listing per folder. */
import { readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Looks files up by their path; paths of one folder should come together, since only its listing is kept. */
export class FrameFolders {
  /** Folders that could not be listed, each with the reason as a clause. */
  readonly unreadable = new Map<string, string>();
  #folder = '';
  #files: ReadonlySet<string> = new Set();

  /** Whether the file is there; `unknown` where its folder cannot be listed. */
  find(path: string): 'there' | 'missing' | 'unknown' {
    const folder = dirname(path);
    if (folder !== this.#folder) {
      this.#folder = folder;
      this.#files = this.list(folder);
    }
    if (this.#files.has(basename(path))) return 'there';
    return this.unreadable.has(folder) ? 'unknown' : 'missing';
  }

  /** The names in a folder; none, and an entry in `unreadable`, where it cannot be listed. */
  list(folder: string): ReadonlySet<string> {
    try {
      return new Set(readdirSync(folder));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const gone = code === 'ENOENT' || code === 'ENOTDIR';
      this.unreadable.set(folder, gone ? 'the folder is missing' : `the folder cannot be listed: ${message}`);
      return new Set();
    }
  }
}

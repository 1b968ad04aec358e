/** @file Writing the files of an import without replacing files of the user. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../errors.js';
import { makeOutputFolder } from '../../files/output_paths.js';
import { writeResult } from '../../files/write_file.js';
import { readText } from '../../util/read_text.js';
import { isTemplate, templatesIn } from '../annotation_folder.js';

const LISTS = ['train.csv', 'val.csv', 'test.csv', 'all.csv'];

/**
 * Writes files into a folder: name → text. Templates of `data prepare` are replaced or removed. Throws UserError if a file with other
 * content exists, unless `overwrite` is set; nothing is written then.
 */
export function writeFiles(folder: string, files: ReadonlyMap<string, string>, overwrite: boolean): void {
  // An empty list of excluded key frames replaces nothing.
  const written = [...files].filter(([name, text]) => text !== '' || !existsSync(join(folder, name)));
  if (!overwrite) {
    for (const [name, text] of written) {
      const path = join(folder, name);
      const before = readText(path);
      const isFree =
        before === null ? !existsSync(path) : before === text || before === '' || isTemplate(before);
      if (!isFree)
        throw new UserError(
          `${path}: exists already with other content; move it away, or replace it with --overwrite`,
        );
    }
  }
  makeOutputFolder(folder, '--out');
  const templates = templatesIn(folder, LISTS);
  for (const [name, text] of written) writeResult(join(folder, name), text);
  for (const path of templates) if (!files.has(path.slice(folder.length + 1))) rmSync(path);
}

/** @file `last_checkpoint`: the text file of a run's folder that names the checkpoint to continue from. */
import { readFileSync, statSync } from 'node:fs';
import { basename, join, win32 } from 'node:path';
import { CheckpointError } from '../errors.js';
import { replaceFile } from '../files/atomic_file.js';
import { isFile, isFolder, isIn } from '../files/paths.js';
import { systemErrorText } from '../files/system_errors.js';
import { printable } from '../util/text.js';
import { LAST_CHECKPOINT } from './checkpoint_names.js';

const MAX_BYTES = 1 << 16;

/** The checkpoint that a folder's `last_checkpoint` names. */
export interface PointerTarget {
  readonly path: string;
  /** A sentence for the user if the file lies outside the folder. */
  readonly warning?: string;
}

/**
 * Finds the checkpoint that `last_checkpoint` in a folder names; null without such a file. A checkpoint of that name in the same
 * folder comes first, since the folder may have been copied or moved, even from Windows. Otherwise the path is relative to the
 * working directory, as in the official code, or to the folder. Throws CheckpointError if the checkpoint does not exist.
 */
export function followPointer(folder: string): PointerTarget | null {
  const pointer = join(folder, LAST_CHECKPOINT);
  const text = readPointer(pointer);
  if (text === null) return null;
  const advice = adviceFor(pointer);
  if (text === '') throw new CheckpointError(`${pointer}: is empty; ${advice}`);
  const named = printable(text);
  const beside = [basename(text), win32.basename(text)].map((name) => join(folder, name));
  const found = [...beside, text, join(folder, text)].find(isFile);
  if (found === undefined) {
    const state = [text, beside[1]].some(isFolder)
      ? 'which is a folder, not a checkpoint'
      : `but neither that nor ${printable(beside[1])} exists`;
    throw new CheckpointError(`${pointer}: names ${named}, ${state}; ${advice}`);
  }
  if (isIn(found, folder)) return { path: found };
  return {
    path: found,
    warning:
      `${pointer} names ${named}, which lies outside ${folder}, where no ${basename(found)} is: the checkpoint may be of ` +
      `another run. If it is, ${advice}`,
  };
}

function adviceFor(pointer: string): string {
  return `write the path of the checkpoint to go on from into ${pointer}`;
}

/** The path in a pointer without white space, byte order mark and quotes; null without the file. */
function readPointer(pointer: string): string | null {
  try {
    // A link to the checkpoint itself would be read as a text of gigabytes.
    if (statSync(pointer).size > MAX_BYTES) {
      throw new CheckpointError(
        `${pointer}: is too large for the path of a checkpoint; ${adviceFor(pointer)}`,
      );
    }
    const bytes = readFileSync(pointer);
    // Windows PowerShell's `>` writes UTF-16.
    const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
    // trim() removes the byte order mark, too.
    const text = bytes.toString(isUtf16 ? 'utf16le' : 'utf8').trim();
    return /^(?<quote>["'])(.*)\k<quote>$/s.exec(text)?.[2].trim() ?? text;
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CheckpointError(`${pointer}: cannot be read: ${systemErrorText(error)}`, { cause: error });
  }
}

/** Writes the path of a checkpoint as a pointer. Throws CheckpointError if the disk refuses. */
export async function writePointer(pointer: string, path: string): Promise<void> {
  await replaceFile(pointer, (sink) => sink.write(Buffer.from(path)));
}

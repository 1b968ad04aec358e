/**
 * @file Moves a run's files into a subfolder of its folder, and back.
 *
 * A kill may come between two files. A journal in the folder records the move, so that the next run finishes it. No run is
 * ever resumed from files of another one that had not been moved yet.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { MOVED_RUN } from '../../checkpoint/checkpoint_names.js';
import { ConfigError } from '../../errors.js';
import { systemErrorText } from '../../files/system_errors.js';
import { parseObject } from '../../util/json.js';
import { readText } from '../../util/read_text.js';
import { MOVE_JOURNAL } from '../run_folder.js';

/** Content of the journal. */
interface Move {
  /** The name of the subfolder. */
  readonly folder: string;
  readonly direction: 'aside' | 'back';
}

/**
 * Moves the files of a run into a new subfolder, where they are a whole run again, and returns its path. If the system
 * refuses, it undoes the move and throws ConfigError.
 */
export function moveAside(outputDir: string, names: readonly string[]): string {
  const folder = unusedFolder(outputDir);
  let current = MOVE_JOURNAL;
  try {
    writeJournal(outputDir, { folder: basename(folder), direction: 'aside' });
    mkdirSync(folder);
    for (const name of names) {
      current = name;
      renameSync(join(outputDir, name), join(folder, name));
    }
    removeJournal(outputDir);
    return folder;
  } catch (error) {
    moveBack(outputDir, folder);
    throw new ConfigError(
      `OUTPUT_DIR: ${outputDir}: the run there cannot be moved into a subfolder: ${current}: ${systemErrorText(error)}`,
      { cause: error },
    );
  }
}

/** Moves a run back into its place. Files that a new run wrote are replaced. */
export function moveBack(outputDir: string, folder: string): void {
  if (existsSync(folder)) {
    try {
      writeJournal(outputDir, { folder: basename(folder), direction: 'back' });
    } catch {
      // A full disk must not keep the run from its place.
    }
    for (const name of readdirSync(folder)) {
      rmSync(join(outputDir, name), { recursive: true, force: true });
      renameSync(join(folder, name), join(outputDir, name));
    }
    rmdirSync(folder);
  }
  removeJournal(outputDir);
}

/**
 * Finishes a move in which a run was killed. `namesOfRun` lists the files of a run in the folder. Returns the subfolder that
 * now holds the run, or null if nothing was moved.
 */
export function finishMove(outputDir: string, namesOfRun: () => readonly string[]): string | null {
  const move = readJournal(outputDir);
  if (move === null) return null;
  const folder = join(outputDir, move.folder);
  if (move.direction === 'back') {
    moveBack(outputDir, folder);
    return null;
  }
  if (!existsSync(folder)) mkdirSync(folder);
  for (const name of namesOfRun()) renameSync(join(outputDir, name), join(folder, name));
  removeJournal(outputDir);
  return folder;
}

/** Names of the subfolders with runs that were moved aside. */
export function movedRuns(outputDir: string): string[] {
  return readdirSync(outputDir)
    .filter((name) => name.startsWith(MOVED_RUN))
    .sort();
}

function writeJournal(outputDir: string, move: Move): void {
  const path = join(outputDir, MOVE_JOURNAL);
  writeFileSync(`${path}.tmp`, JSON.stringify(move), { flush: true });
  renameSync(`${path}.tmp`, path);
}

function readJournal(outputDir: string): Move | null {
  const { folder, direction } = parseObject(readText(join(outputDir, MOVE_JOURNAL)) ?? '') ?? {};
  const isName = typeof folder === 'string' && folder.startsWith(MOVED_RUN) && basename(folder) === folder;
  return isName && (direction === 'aside' || direction === 'back') ? { folder, direction } : null;
}

function removeJournal(outputDir: string): void {
  for (const name of [MOVE_JOURNAL, `${MOVE_JOURNAL}.tmp`]) rmSync(join(outputDir, name), { force: true });
}

function unusedFolder(outputDir: string): string {
  for (let n = 1; ; n++) {
    const folder = join(outputDir, `${MOVED_RUN}${n}`);
    if (!lstatSync(folder, { throwIfNoEntry: false })) return folder;
  }
}

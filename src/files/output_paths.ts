/**
 * @file Paths that results are written to: made where they do not exist, and refused with the setting's name where nothing
 * can be written.
 *
 * Node's recursive mkdir is not used: below /proc it never returns.
 */
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ConfigError } from '../errors.js';
import { systemErrorText } from './system_errors.js';

/**
 * Makes a folder and those above it, and checks that a file can be written in it. `setting` is the name under which the user
 * gave the path, for example `OUTPUT_DIR` or `--out`. Throws ConfigError, which names both.
 */
export function makeOutputFolder(folder: string, setting: string): void {
  try {
    refuseEmpty(folder);
    makeFolders(resolve(folder));
    tryToWrite(resolve(folder));
  } catch (error) {
    throw refusal(folder, setting, error);
  }
}

/**
 * Makes the folder of an output file and checks that the file can be written there; a file that exists stays as it is.
 * Throws ConfigError, which names the setting and the path.
 */
export function checkOutputFile(file: string, setting: string): void {
  const path = resolve(file);
  try {
    refuseEmpty(file);
    makeFolders(dirname(path));
    const state = stateOf(path);
    if (state?.isDirectory()) throw new Obstacle(`${file} is a folder, and a file is to be written`);
    if (!state && isLink(path)) throw danglingLink(path);
    // A device such as /dev/null can be written although nothing can be made beside it.
    if (state) accessSync(path, constants.W_OK);
    else tryToWrite(dirname(path));
  } catch (error) {
    throw refusal(file, setting, error);
  }
}

/** An unset variable of a shell gives an empty path, which would be the working directory. */
function refuseEmpty(path: string): void {
  if (path === '') throw new Obstacle('the path is empty');
}

function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A folder of the path is a file, which is found when that folder's turn comes.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Why a path cannot be used, in words. */
class Obstacle extends Error {}

function makeFolders(path: string): void {
  const state = stateOf(path);
  if (state?.isDirectory()) return;
  if (state) throw new Obstacle(`${path} is a file, not a folder`);
  const parent = dirname(path);
  if (parent === path) throw new Obstacle(`the drive ${path} does not exist`);
  makeFolders(parent);
  if (isLink(path)) throw danglingLink(path);
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another process may have made it meanwhile.
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code === 'ENOENT') throw new Obstacle(`${parent} takes no folders`);
    throw error;
  }
}

const PROBE_BYTES = 4096;

/** Permission bits do not tell everything: file systems are read-only, and root may write anywhere. */
function tryToWrite(folder: string): void {
  const probe = join(folder, `.stmixer-${process.pid}.tmp`);
  try {
    // A full disk takes a file that is empty.
    writeFileSync(probe, Buffer.alloc(PROBE_BYTES));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Obstacle(`${folder} takes no files`);
    throw error;
  } finally {
    rmSync(probe, { force: true });
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function danglingLink(path: string): Obstacle {
  return new Obstacle(`${path} is a link to ${readlinkSync(path)}, which does not exist`);
}

function refusal(path: string, setting: string, error: unknown): unknown {
  if (error instanceof ConfigError) return error;
  const { code, message, path: at } = error as NodeJS.ErrnoException;
  if (!(error instanceof Obstacle) && !code) return error;
  const place = at && resolve(at) !== resolve(path) && !basename(at).startsWith('.stmixer-') ? `${at}: ` : '';
  const why = error instanceof Obstacle ? message : `${place}${systemErrorText(error)}`;
  return new ConfigError(`${setting}: ${path === '' ? '' : `${path}: `}cannot be used for output: ${why}`, {
    cause: error,
  });
}

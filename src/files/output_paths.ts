/**
 * @file Makes folders for results, and refuses paths that cannot be written, with the name of the setting.
 *
 * Own code instead of Node's recursive mkdir, which never returns below /proc.
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
import { outputAddressProblem } from '../util/addresses.js';
import { systemErrorText } from './system_errors.js';

/**
 * Makes a folder and those above it, and checks that a file can be written in it. `setting` is the name under which the user
 * gave the path, for example `OUTPUT_DIR` or `--out`. Throws ConfigError, which names both.
 */
export function makeOutputFolder(folder: string, setting: string): void {
  try {
    refuseNoPath(folder);
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
    refuseNoPath(file);
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

/** Refuses an address, and an empty path, which comes from an unset shell variable and would be the working directory. */
function refuseNoPath(path: string): void {
  if (path === '') throw new Obstacle('the path is empty');
  const address = outputAddressProblem(path);
  if (address !== null) throw new Obstacle(address);
}

function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A folder of the path is a file, which is found when that folder is checked.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The reason why a path cannot be used, in words. */
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
    // Another process may have made it in the meantime.
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code === 'ENOENT') throw new Obstacle(`${parent} accepts no folders`);
    throw error;
  }
}

const PROBE_BYTES = 4096;

/** Writes a test file. Permission bits are not enough: file systems may be read-only, and root may write anywhere. */
function tryToWrite(folder: string): void {
  const probe = join(folder, `.stmixer-${process.pid}.tmp`);
  try {
    // A full disk accepts an empty file.
    writeFileSync(probe, Buffer.alloc(PROBE_BYTES));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Obstacle(`${folder} accepts no files`);
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

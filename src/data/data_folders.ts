/** @file The folders of a data set: a wrong one is reported once, before the files that are missing because of it. */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Config } from '../config/index.js';
import { DataError } from '../errors.js';
import { twinClause } from '../files/twins.js';
import { addressProblem, withoutPassword } from '../util/addresses.js';

type FolderConfig = Pick<Config, 'DATA' | 'AVA'>;

const ROOT = 'DATA.PATH_TO_DATA_DIR';

/** A folder below the data set, and the key that names it. */
interface Part {
  readonly key: 'AVA.FRAME_LIST_DIR' | 'AVA.ANNOTATION_DIR' | 'AVA.FRAME_DIR';
  /** As the configuration writes it. */
  readonly name: string;
}

/**
 * Throws DataError if a folder of the data set is missing or is not a folder: about DATA.PATH_TO_DATA_DIR alone if that explains
 * everything, else about each wrong folder in it.
 */
export function requireDataFolders(
  cfg: FolderConfig,
  { frames = true }: { readonly frames?: boolean } = {},
): void {
  const parts = partsOf(cfg).filter(({ key }) => frames || key !== 'AVA.FRAME_DIR');
  const problem = rootProblem(cfg, parts) ?? partProblem(cfg, parts);
  if (problem !== null) throw new DataError(problem);
}

/** What is wrong with the folder of the label map; null if it is there. */
export function labelFolderProblem(cfg: FolderConfig): string | null {
  const parts = partsOf(cfg).filter(({ key }) => key === 'AVA.ANNOTATION_DIR');
  return rootProblem(cfg, parts) ?? partProblem(cfg, parts);
}

/** The folders that a file with a relative name lies in. */
function partsOf({ AVA }: FolderConfig): Part[] {
  const lists = [...AVA.TRAIN_LISTS, ...AVA.TEST_LISTS];
  const annotations = [...AVA.TRAIN_GT_BOX_LISTS, ...AVA.TEST_GT_BOX_LISTS, AVA.LABEL_MAP_FILE];
  const parts: readonly (Part & { readonly isNeeded: boolean })[] = [
    { key: 'AVA.FRAME_LIST_DIR', name: AVA.FRAME_LIST_DIR, isNeeded: !lists.every(isAbsolute) },
    { key: 'AVA.ANNOTATION_DIR', name: AVA.ANNOTATION_DIR, isNeeded: !annotations.every(isAbsolute) },
    { key: 'AVA.FRAME_DIR', name: AVA.FRAME_DIR, isNeeded: true },
  ];
  return parts.filter(({ isNeeded }) => isNeeded);
}

/** What is wrong with the folder of the whole data set. */
function rootProblem({ DATA }: FolderConfig, parts: readonly Part[]): string | null {
  const inside = parts.filter(({ name }) => !isAbsolute(name));
  if (inside.length === 0) return null;
  const root = DATA.PATH_TO_DATA_DIR;
  const address = addressProblem(root, 'folder');
  if (address !== null) return `${ROOT}: ${withoutPassword(root)}: ${address}`;
  const missing = inside.filter(({ name }) => stateOf(resolve(root, name)) !== 'folder');
  if (root.trim() === '') {
    if (missing.length < inside.length) return null;
    return (
      `${ROOT} is empty, and the current folder, ${resolve('.')}, has no ${namesOf(inside)}; set it to the folder of the data ` +
      'set, in the configuration or at the end of the command'
    );
  }
  const path = resolve(root);
  const shown = path === root ? root : `${root} (${path})`;
  const state = stateOf(path);
  if (state === 'missing')
    return `${ROOT}: ${shown}: there is no such folder${twinClause(path) || homeClause(root) || SET_IT}`;
  if (state === 'other') return `${ROOT}: ${shown}: it is a file, not a folder${SET_IT}`;
  if (missing.length < inside.length || inside.length < 2) return null;
  const elsewhere = folderWith(path, inside);
  // Names that differ in spelling only are a mistake in those names.
  if (inside.some(({ name }) => twinClause(resolve(root, name)) !== '')) return null;
  const remedy =
    elsewhere === null
      ? '; it must be the folder that holds them'
      : `; ${elsewhere} has them: set it to that folder`;
  return `${ROOT}: ${shown}: this folder has no ${namesOf(inside)}${remedy}`;
}

const SET_IT = '; set it to the folder of the data set, in the configuration or at the end of the command';

/** Says that `~` and variables are not expanded in a configuration. */
function homeClause(root: string): string {
  if (!/^~|[$%]\w|\$\{/.test(root)) return '';
  return '; "~" and variables such as $HOME are not expanded here: write the whole path, starting with /';
}

function namesOf(parts: readonly Part[]): string {
  const names = parts.map(({ name }) => name.replace(/\/*$/, '/'));
  return names.length === 1 ? names[0] : `${names.slice(0, -1).join(', ')} and no ${names.at(-1)}`;
}

/** What is wrong with folders inside the data set, one line for each. */
function partProblem({ DATA }: FolderConfig, parts: readonly Part[]): string | null {
  const lines = parts.flatMap(({ key, name }) => {
    const address = addressProblem(name, 'folder');
    if (address !== null) return [`${key}: ${withoutPassword(name)}: ${address}`];
    return folderProblem(key, resolve(DATA.PATH_TO_DATA_DIR, name)) ?? [];
  });
  if (lines.length < 2) return lines[0] ?? null;
  return `${lines.length} folders of the data set are wrong:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

/** What is wrong with one folder in the data set, which a key names; null if it is there. */
export function folderProblem(key: Part['key'], path: string): string | null {
  const state = stateOf(path);
  if (state === 'folder') return null;
  if (state === 'other')
    return `${key}: ${path}: it is a file, not a folder; name the folder that contains it`;
  return `${key}: ${path}: there is no such folder${twinClause(path) || likelyClause(path)}`;
}

/** Names a folder beside a missing one whose name begins in the same way, such as `annotations` for `annotations_v2.2`. */
function likelyClause(path: string): string {
  const start = (name: string) => name.toLowerCase().split(/[^a-z]/)[0];
  const [near] = foldersIn(dirname(path)).filter(
    (name) => start(name) !== '' && start(name) === start(basename(path)),
  );
  return near === undefined
    ? `; it must be in the folder of the data set, ${ROOT}, or be an absolute path`
    : `, but there is ${join(dirname(path), near)}; set it to ${near}`;
}

/** The folder above or directly below `path` that has one of the parts; null if there is none. */
function folderWith(path: string, parts: readonly Part[]): string | null {
  const candidates = [dirname(path), ...foldersIn(path).map((name) => join(path, name))];
  return (
    candidates.find((folder) => parts.every(({ name }) => stateOf(resolve(folder, name)) === 'folder')) ??
    null
  );
}

/** Number of entries of a folder that are looked at. */
const MAX_ENTRIES = 200;

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .slice(0, MAX_ENTRIES)
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}

/** Without permission to look, a folder counts as present, because the error about its files says more. */
function stateOf(path: string): 'folder' | 'other' | 'missing' {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats) return 'missing';
    return stats.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'missing' : 'folder';
  }
}

/** @file The configurations that come with the package, and the official names under which users look for them. */
import { existsSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { namesIn } from '../../files/folder_names.js';
import { plainName } from '../../util/similar.js';

/** The configuration to start from. */
const START = 'my_VMAEv2-ViTB-16x4.yaml';

/** Files of the official repository that have another name here. */
const OFFICIAL: Readonly<Record<string, string>> = { 'VMAEv2-ViTB-16x4.yaml': START };

/** Name of the folder with the configurations, both in the package and in the official repository. */
const NAME = 'config_files';
/** The folder lies three folders above this module in the sources and in the build. */
const FOLDER = fileURLToPath(new URL(`../../../${NAME}/`, import.meta.url));

/** The path of a configuration of this package, as short as the current folder allows. */
function shippedPath(name: string): string {
  const path = join(FOLDER, name);
  const fromHere = relative('.', path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/** A sentence part about the configuration from which to start. */
export function startFrom(): string {
  return `start from ${shippedPath(START)} and set your own paths in it`;
}

function stem(name: string): string {
  return plainName(name.replace(/\.(?:ya?ml|py|json)$/i, ''));
}

function sameName(wanted: string, names: readonly string[]): string | undefined {
  return names.find((name) => name === wanted) ?? names.find((name) => stem(name) === stem(wanted));
}

/**
 * Names the configuration of this package that has the name of a missing file, or that replaces the official file of that name;
 * empty if there is none. The text is appended to "no such file".
 */
export function shippedClause(file: string): string {
  const wanted = basename(file.replaceAll('\\', '/'));
  const official = sameName(wanted, Object.keys(OFFICIAL));
  const own = sameName(wanted, namesIn(FOLDER)) ?? (official && OFFICIAL[official]);
  if (own === undefined || !existsSync(join(FOLDER, own))) return '';
  const path = shippedPath(own);
  return official === undefined || own === wanted
    ? `; this configuration is here: ${path}`
    : `; the official ${official} is here: ${path}`;
}

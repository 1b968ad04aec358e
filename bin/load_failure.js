/** @file What a user can do where a part of the program cannot be loaded: a sentence for each cause. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');
/** A clone has this file, an installed package does not. */
const isClone = existsSync(new URL('../package-lock.json', import.meta.url));
const INSTALL = isClone ? `run npm ci in ${ROOT}` : 'install it again: npm install --ignore-scripts stmixer';
const BUILD = isClone ? `run npm run build in ${ROOT}` : INSTALL;

/** For a file of which it is not known whether it is of a package. */
const REPAIR = isClone ? `run npm ci and npm run build in ${ROOT}` : INSTALL;

/** Words of the system, Node and V8 for memory that could not be had. */
const NO_MEMORY = /out of memory|cannot allocate memory|allocation failed|failed to map segment/i;
/** Words of dynamic linkers, sharp and koffi for a library that is not for this machine, or not whole. */
const BROKEN_LIBRARY =
  /could not load the "sharp"|native koffi module|invalid elf header|file too short|wrong elf class|cannot open shared object|not a mach-o|version `?glibc|undefined symbol/i;

/** The cause and the remedy in a sentence, for an error that came while the program was loaded. */
export function loadFailure(error) {
  const first = firstLine(error);
  const { code, path } = error ?? {};
  const cause = partFailure(error);
  if (cause) return cause;
  if (code === 'EACCES' || code === 'EPERM')
    return `permission denied: ${path ?? first}. Make the files of stmixer readable: chmod -R a+rX ${ROOT}`;
  return `the program cannot be loaded: ${first}. To mend it, ${BUILD}`;
}

/** Explains an error that may come at any time; null unless a part of the program, or room for it, is missing. */
export function partFailure(error) {
  const first = firstLine(error);
  const code = String(error?.code ?? '');
  if (code === 'ENFILE')
    return 'too many files are open on this machine: close other programs, or raise fs.file-max';
  if (code === 'EMFILE' || /\bEMFILE\b|too many open files/i.test(first)) return tooManyFiles();
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return missing(first);
  if (NO_MEMORY.test(first) && !isOwn(error))
    return `out of memory: ${first}. Give this process more, for example with: ulimit -v unlimited`;
  if (code === 'ERR_WORKER_INIT_FAILED' || (code === 'EAGAIN' && /spawn|thread/i.test(first)))
    return `no more threads or processes can be started (${first}). Allow more, for example with: ulimit -u 4096`;
  if (code === 'ERR_DLOPEN_FAILED' || BROKEN_LIBRARY.test(first))
    return `a native library cannot be loaded on this machine: ${first}. To mend it, ${INSTALL}`;
  return damaged(error, first);
}

function firstLine(error) {
  return String(error?.message ?? error)
    .split('\n')[0]
    .replace(/\.$/, '');
}

/** Errors of our own have their remedy in their text. */
function isOwn(error) {
  return typeof error?.exitCode === 'number';
}

function tooManyFiles() {
  let limit = '';
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (soft) limit = ` than the ${soft} that are allowed`;
  } catch {
    // Not even this file can be opened, or the system has none.
  }
  // Node has raised the limit as far as it may by itself.
  return (
    `too many open files: stmixer needs more${limit || ' than are allowed'} (ulimit -n). Start it from a new shell after: ` +
    "ulimit -n 1024 (docker run: --ulimit nofile=1024). A limit that cannot be raised there is the administrator's"
  );
}

function missing(message) {
  const name = /(?:package|module) '([^']+)'/.exec(message)?.[1] ?? message;
  if (isAbsolute(name) && isThere(name)) return tooManyFiles();
  if (!isAbsolute(name) && !name.startsWith('.')) return `the package ${name} is not installed: ${INSTALL}`;
  return `${name} is missing: ${name.includes('node_modules') ? INSTALL : BUILD}`;
}

/**
 * Whether a file, or the file that a package has in its place, is there all the same: Node takes one for missing that it cannot
 * open because too many files are open.
 */
function isThere(file) {
  if (existsSync(file)) return true;
  const description = join(dirname(file), 'package.json');
  try {
    return existsSync(join(dirname(file), JSON.parse(readFileSync(description, 'utf8')).main));
  } catch (error) {
    return error.code === 'EMFILE';
  }
}

/** Code or settings that are cut off, or mixed from two versions. */
function damaged(error, message) {
  if (error?.code === 'ERR_INVALID_PACKAGE_CONFIG')
    return `the program is not whole (${message}): ${INSTALL}`;
  if (!(error instanceof SyntaxError)) return null;
  if (message.includes('does not provide an export'))
    return `the program is not whole (${message}): ${BUILD}`;
  // A fault in data has other functions at the top, such as JSON.parse.
  const [head, caller = ''] = String(error.stack).split(/\n {4}at /);
  if (!caller.includes('node:internal/modules/')) return null;
  const place = /^(\/.+|[a-z]:\\.+):\d+$/im.exec(head)?.[1];
  return `${place ?? 'a file of the program'} is damaged (${message}): ${REPAIR}`;
}

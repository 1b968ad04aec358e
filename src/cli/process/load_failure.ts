/** @file Explains why a part of the program cannot be loaded, and what to do. Imports nothing but Node, so that it always loads. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/[\\/]$/, '');
/** A clone has this file, an installed package does not. */
const isClone = existsSync(join(ROOT, 'package-lock.json'));
const INSTALL = isClone ? `run npm ci in ${ROOT}` : 'install it again: npm install --ignore-scripts stmixer';
const BUILD = isClone ? `run npm run build in ${ROOT}` : INSTALL;
/** Advice if the damaged file may belong to stmixer or to a package. */
const REPAIR = isClone ? `run npm ci and npm run build in ${ROOT}` : INSTALL;

/** Wordings of the system, Node and V8 for a failed allocation. */
const NO_MEMORY = /out of memory|cannot allocate memory|allocation failed|failed to map segment/i;
/** Wordings of dynamic linkers, sharp and koffi for a library that is damaged or built for another machine. */
const BROKEN_LIBRARY =
  /could not load the "sharp"|native koffi module|invalid elf header|file too short|wrong elf class|cannot open shared object|not a mach-o|version `?glibc|undefined symbol/i;

/** Properties that errors of Node and of the system may have. */
type Failure = Partial<NodeJS.ErrnoException> & { readonly exitCode?: unknown };

/** Explains the cause and the remedy of an error that occurred while the program was loaded, in one sentence. */
export function loadFailure(error: unknown): string {
  const cause = partFailure(error);
  if (cause) return cause;
  const first = firstLine(error);
  const { code, path } = asFailure(error);
  if (code === 'EACCES' || code === 'EPERM')
    return `permission denied: ${path ?? first}. Make the files of stmixer readable: chmod -R a+rX ${ROOT}`;
  return `the program cannot be loaded: ${first}. To fix it, ${BUILD}`;
}

/** Explains an error that may occur at any time. Returns null unless a part of the program, or memory for it, is missing. */
export function partFailure(error: unknown): string | null {
  const first = firstLine(error);
  const { code = '', exitCode } = asFailure(error);
  if (code === 'ENFILE')
    return 'too many files are open on this machine: close other programs, or raise fs.file-max';
  if (code === 'EMFILE' || /\bEMFILE\b|too many open files/i.test(first)) return tooManyFiles();
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return missing(first);
  // Only errors of stmixer itself have an exit code; their remedy is in their text.
  if (NO_MEMORY.test(first) && typeof exitCode !== 'number')
    return `out of memory: ${first}. Give this process more, for example with: ulimit -v unlimited`;
  if (code === 'ERR_WORKER_INIT_FAILED' || (code === 'EAGAIN' && /spawn|thread/i.test(first)))
    return `no more threads or processes can be started (${first}). Allow more, for example with: ulimit -u 4096`;
  if (code === 'ERR_DLOPEN_FAILED' || BROKEN_LIBRARY.test(first))
    return `a native library cannot be loaded on this machine: ${first}. To fix it, ${INSTALL}`;
  return damaged(error, first);
}

function asFailure(error: unknown): Failure {
  return (error ?? {}) as Failure;
}

function firstLine(error: unknown): string {
  return String(asFailure(error).message ?? error)
    .split('\n')[0]
    .replace(/\.$/, '');
}

function tooManyFiles(): string {
  let limit = 'are allowed';
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (soft) limit = `the ${soft} that are allowed`;
  } catch {
    // The limit prevents even this, or the system has no such file.
  }
  // Node has already raised the soft limit as far as it may.
  return (
    `too many open files: stmixer needs more than ${limit} (ulimit -n). Start it from a new shell after: ` +
    'ulimit -n 1024 (docker run: --ulimit nofile=1024). If the shell refuses, ask the administrator for a higher limit'
  );
}

function missing(message: string): string {
  const name = /(?:package|module) '([^']+)'/.exec(message)?.[1] ?? message;
  if (isAbsolute(name) && existsAfterAll(name)) return tooManyFiles();
  if (!isAbsolute(name) && !name.startsWith('.')) return `the package ${name} is not installed: ${INSTALL}`;
  return `${name} is missing: ${name.includes('node_modules') ? INSTALL : BUILD}`;
}

/**
 * Whether a file, or the main file of a package folder, exists although Node did not find it: Node reports a file as missing if
 * it cannot open it because too many files are open.
 */
function existsAfterAll(file: string): boolean {
  if (existsSync(file)) return true;
  const description = join(dirname(file), 'package.json');
  try {
    return existsSync(join(dirname(file), JSON.parse(readFileSync(description, 'utf8')).main));
  } catch (error) {
    return asFailure(error).code === 'EMFILE';
  }
}

/** Explains code or settings that are cut off or mixed from two versions. */
function damaged(error: unknown, message: string): string | null {
  if (asFailure(error).code === 'ERR_INVALID_PACKAGE_CONFIG')
    return `the program is incomplete (${message}): ${INSTALL}`;
  if (!(error instanceof SyntaxError)) return null;
  if (message.includes('does not provide an export'))
    return `the program is incomplete (${message}): ${BUILD}`;
  // Syntax errors in data have another caller, such as JSON.parse.
  const [head, caller = ''] = String(error.stack).split(/\n {4}at /);
  if (!caller.includes('node:internal/modules/')) return null;
  const place = /^(\/.+|[a-z]:\\.+):\d+$/im.exec(head)?.[1];
  return `${place ?? 'a file of the program'} is damaged (${message}): ${REPAIR}`;
}

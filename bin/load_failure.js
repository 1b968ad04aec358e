/** @file What a user can do where a part of the program cannot be loaded: one sentence for each cause. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** A clone has it, an installed package does not. */
const isClone = existsSync(new URL('../package-lock.json', import.meta.url));
const INSTALL = isClone
  ? `run npm ci in ${ROOT}`
  : 'install stmixer again: npm install --ignore-scripts stmixer';
const BUILD = isClone ? `run npm run build in ${ROOT}` : INSTALL;

/** Words of the system, Node and V8 for memory that could not be had. */
const NO_MEMORY = /out of memory|cannot allocate memory|allocation failed|failed to map segment/i;
/** Words of dynamic linkers, sharp and koffi about a library that is not for this machine, or not whole. */
const BROKEN_LIBRARY =
  /could not load the "sharp"|native koffi module|invalid elf header|file too short|wrong elf class|cannot open shared object|not a mach-o|version `?glibc|undefined symbol/i;

/** Returns the cause and the remedy in a sentence; null where the error is not about loading. */
export function loadFailure(error) {
  const message = String(error?.message ?? error);
  const first = message.split('\n')[0];
  const code = error?.code ?? '';
  if (code === 'EMFILE' || code === 'ENFILE' || /EMFILE|too many open files/i.test(message))
    return tooManyFiles(code);
  if (code === 'ENOMEM' || code === 'ERR_WORKER_OUT_OF_MEMORY' || NO_MEMORY.test(message))
    return `out of memory while the program was loaded: ${first}. Give it more, for example with: ulimit -v unlimited`;
  if (code === 'EAGAIN' || code === 'ERR_WORKER_INIT_FAILED')
    return `no more threads can be started (${first}). Allow more of them, for example with: ulimit -u 4096`;
  if (code === 'ERR_DLOPEN_FAILED' || BROKEN_LIBRARY.test(message))
    return `a native library cannot be loaded on this machine: ${first}. To mend it, ${INSTALL}`;
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return missing(first);
  if (code === 'EACCES' || code === 'EPERM')
    return `permission denied: ${error.path ?? first}. Make it readable, or ask whoever installed stmixer to do so`;
  return damaged(error, first);
}

function tooManyFiles(code) {
  return code === 'ENFILE'
    ? 'too many files are open on this machine. Close other programs, or raise fs.file-max'
    : `too many open files: stmixer needs more than the limit of this shell (ulimit -n) allows. Raise it with: ulimit -n 1024`;
}

function missing(message) {
  const name = /package '([^']+)'/.exec(message)?.[1];
  if (name) return `the package ${name} is not installed: ${INSTALL}`;
  const file = /module '([^']+)'/.exec(message)?.[1] ?? message;
  return `${file} is missing: ${file.includes('node_modules') ? INSTALL : BUILD}`;
}

/** Code or settings that are cut off or mixed from two versions. */
function damaged(error, message) {
  const isCode = error instanceof SyntaxError || error?.code === 'ERR_INVALID_PACKAGE_CONFIG';
  if (!isCode) return null;
  // A fault in a file comes with its place before the stack, one between two files without.
  const file = /^file:\/\/\S+?(?=:\d+$)/m.exec(String(error.stack).split('\n    at ')[0])?.[0];
  const path = file ? fileURLToPath(file) : null;
  const remedy = (path ?? message).includes('node_modules') ? INSTALL : BUILD;
  return `${path ? `${path} is damaged` : 'the program is not whole'} (${message}): ${remedy}`;
}

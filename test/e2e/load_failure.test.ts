/** @file The sentence that explains why the program cannot be loaded, and what to do. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadFailure, partFailure } from '../../src/cli/process/load_failure.js';
import { launch } from '../support/cli.js';
import { temporaryFiles } from '../support/temporary_files.js';

const { file } = temporaryFiles();

/** The module as test/support/build.ts has compiled it, for a process that starts plain Node. */
const BUILT = resolve('.vitest/cli/process/load_failure.js');

const failure = (message: string, code?: string) => Object.assign(new Error(message), { code });

describe('loadFailure', () => {
  it.each<[string, Error, RegExp]>([
    [
      'too many open files',
      failure("EMFILE: too many open files, open 'x'", 'EMFILE'),
      /\(ulimit -n\)\. Start it from a new shell after: ulimit -n 1024 /,
    ],
    [
      'too many open files that Node reports as a missing package',
      failure(`Cannot find package '${process.execPath}'`, 'ERR_MODULE_NOT_FOUND'),
      /^too many open files/,
    ],
    [
      'a package that is not installed',
      failure("Cannot find package 'pino' imported from /a/b.js", 'ERR_MODULE_NOT_FOUND'),
      /^the package pino is not installed: run npm ci in \//,
    ],
    [
      'a built file that is missing',
      failure("Cannot find module '/none/dist/a.js' imported from /b.js", 'ERR_MODULE_NOT_FOUND'),
      /^\/none\/dist\/a\.js is missing: run npm run build in \//,
    ],
    [
      'a file of a package that is missing',
      failure("Cannot find module '/none/node_modules/a/b.js'", 'MODULE_NOT_FOUND'),
      /b\.js is missing: run npm ci in \//,
    ],
    [
      'a broken library',
      failure('/x/a.node: invalid ELF header', 'ERR_DLOPEN_FAILED'),
      /^a native library cannot be loaded on this machine: .*run npm ci/,
    ],
    [
      'sharp without its library',
      failure('Could not load the "sharp" module using the linux-x64 runtime\nPossible solutions:'),
      /^a native library .*runtime\. To fix it, run npm ci/,
    ],
    [
      'no memory',
      failure('WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory'),
      /^out of memory: .*ulimit -v unlimited$/,
    ],
    [
      'no threads',
      failure('Worker initialization failure: EAGAIN', 'ERR_WORKER_INIT_FAILED'),
      /^no more threads .*ulimit -u 4096$/,
    ],
    [
      'no permission',
      Object.assign(failure('EACCES: permission denied', 'EACCES'), { path: '/x/dist/a.js' }),
      /^permission denied: \/x\/dist\/a\.js\. .*chmod -R a\+rX \//,
    ],
    [
      'an unknown error',
      failure('something new'),
      /^the program cannot be loaded: something new\. To fix it, run npm run build/,
    ],
  ])('explains %s', (_, error, sentence) => {
    expect(loadFailure(error)).toMatch(sentence);
    expect(loadFailure(error)).not.toContain('\n');
  });

  it('names a file that is cut off or belongs to another version', () => {
    const run = (name: string, text: string) => {
      const program = `import(${JSON.stringify(file(name, text))}).catch(async (error) => {
        console.log((await import(${JSON.stringify(BUILT)})).loadFailure(error)); })`;
      return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' }).stdout;
    };
    expect(run('cut.mjs', 'export function f() {\n  return [1,')).toMatch(
      /^a file of the program is damaged \(Unexpected end of input\): run npm ci and npm run build in \//,
    );
    expect(run('cut.cjs', 'module.exports = [1,')).toMatch(/^\/.*cut\.cjs is damaged \(Unexpected/);
    expect(run('mixed.mjs', "import { none } from 'node:fs'; none();")).toMatch(
      /^the program is incomplete \(.*none.*\): run npm run build/,
    );
  });

  it('ignores errors in data', () => {
    for (const error of [failure('x'), new RangeError('x'), null, 'x']) expect(partFailure(error)).toBeNull();
    let error: unknown;
    try {
      JSON.parse('{');
    } catch (fault) {
      error = fault;
    }
    expect(partFailure(error)).toBeNull();
  });
});

describe.skipIf(process.platform === 'win32')('a command with few open files', () => {
  it.each([20, 64, 128])('works or explains the limit with ulimit -n %i', (limit) => {
    const { program, words } = launch(['inspect', 'model', '--config-file', 'config_files/tiny.yaml']);
    const script = `ulimit -n ${limit}; exec "$@"`;
    const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', program, ...words], {
      encoding: 'utf8',
    });
    if (status === 0) return;
    expect(stderr).toMatch(/^stmixer: too many open files: .* from a new shell after: ulimit -n 1024 .*\n$/);
    expect(status).toBe(1);
  });
});

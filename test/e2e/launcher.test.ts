/** @file The launcher, on a Node that is too old and on this one. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { temporaryFiles } from '../support/temporary_files.js';

const { at, file } = temporaryFiles();

beforeEach(() => {
  file('package.json', '{ "type": "module" }');
  cpSync('bin', at('bin'), { recursive: true });
  // Stands for the build, which tests do not need.
  symlinkSync(resolve('.vitest'), at('dist'), 'junction');
});

/** Runs the launcher, which is made to believe that this is another release of Node. */
function launchOn(version: string) {
  const pretend = `
    Object.defineProperty(process, 'version', { value: 'v${version}' });
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`;
  const first = `data:text/javascript,${encodeURIComponent(pretend)}`;
  return spawnSync(process.execPath, ['--import', first, at('bin', 'stmixer.js'), 'train'], {
    encoding: 'utf8',
  });
}

it.each(['20.11.1', '18.20.8', '8.17.0'])('the launcher names the minimum version on Node %s', (version) => {
  expect(launchOn(version)).toMatchObject({
    status: 1,
    stdout: '',
    stderr: `stmixer needs Node 20.12 or later; this is v${version}\n`,
  });
});

it.each(['20.12.0', '22.0.0'])('the launcher starts on Node %s', (version) => {
  const { status, stderr } = launchOn(version);
  expect(stderr).toMatch(/required option '--config-file <file>' not specified/);
  expect(status).toBe(2);
});

it('the launcher builds a clone that has not been built, and prints nothing of it to standard output', () => {
  rmSync(at('dist'));
  symlinkSync(resolve('node_modules'), at('node_modules'), 'junction');
  // Stands for scripts/build.ts, which takes 20 s.
  const build = `
    import { symlinkSync } from 'node:fs';
    console.log('compiling', process.argv[2]);
    symlinkSync(${JSON.stringify(resolve('.vitest'))}, 'dist', 'junction');`;
  mkdirSync(at('scripts'));
  file('scripts/build.ts', build);
  const { status, stdout, stderr } = launchOn('20.12.0');
  expect(stdout).toBe('');
  expect(stderr).toMatch(
    /^stmixer: building the program, which a clone needs once …\ncompiling --if-missing\n/,
  );
  expect(stderr).toMatch(/required option '--config-file <file>' not specified/);
  expect(status).toBe(2);
});

it('the launcher explains how to build a program that has not been built', () => {
  rmSync(at('dist'));
  const { status, stderr } = launchOn('20.12.0');
  expect(stderr).toMatch(/^stmixer cannot start: Cannot find module .*start\.js/);
  expect(stderr).toContain('In a clone, run: npm run build.');
  expect(status).toBe(1);
});

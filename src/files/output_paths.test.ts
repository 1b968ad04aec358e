/** @file Output paths that can be used, and what is said of those that cannot. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { ConfigError } from '../errors.js';
import { checkOutputFile, makeOutputFolder } from './output_paths.js';

let home: string;
beforeEach(() => {
  home = temporaryFolder();
  writeFileSync(join(home, 'file'), 'content');
  mkdirSync(join(home, 'folder'));
  symlinkSync('nowhere', join(home, 'dangling'));
  symlinkSync('folder', join(home, 'link'));
  symlinkSync('circle', join(home, 'circle'));
});

function refusal(action: () => void): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('the path was accepted');
}

describe('makeOutputFolder', () => {
  it.each(['new', 'folder', 'link', 'link/new', 'folder/a/b/c'])('creates or accepts %s', (path) => {
    makeOutputFolder(join(home, path), 'OUTPUT_DIR');
    expect(readdirSync(join(home, path))).toEqual([]);
  });

  it.each([
    ['file', /^--out: .*\/file: cannot be used for output: .*\/file is a file, not a folder$/],
    ['file/below', /^--out: .*\/file\/below: cannot be used .*\/file is a file, not a folder$/],
    ['dangling', /dangling is a link to nowhere, which does not exist$/],
    ['dangling/below', /dangling is a link to nowhere, which does not exist$/],
    ['circle', /the path has a cycle of symbolic links$/],
    ['x'.repeat(300), /the name is too long$/],
  ])('refuses %s with the setting and the path', (path, message) => {
    expect(refusal(() => makeOutputFolder(join(home, path), '--out'))).toMatch(message);
  });

  it.skipIf(process.platform !== 'linux')('refuses /proc, where nothing can be created, and returns', () => {
    expect(refusal(() => makeOutputFolder('/proc/x/y', 'OUTPUT_DIR'))).toMatch(
      /^OUTPUT_DIR: \/proc\/x\/y: cannot be used for output: \/proc accepts no folders$/,
    );
    expect(refusal(() => makeOutputFolder('/proc', 'OUTPUT_DIR'))).toMatch(/\/proc accepts no files$/);
  });
});

describe('checkOutputFile', () => {
  it('creates the folder, not the file, and leaves an existing file unchanged', () => {
    checkOutputFile(join(home, 'new', 'page.html'), '--out');
    expect(readdirSync(join(home, 'new'))).toEqual([]);
    checkOutputFile(join(home, 'file'), '--out');
    expect(readFileSync(join(home, 'file'), 'utf8')).toBe('content');
    checkOutputFile('/dev/null', '--out');
  });

  it.each([
    ['folder', /folder is a folder, and a file is to be written$/],
    ['file/page.html', /file is a file, not a folder$/],
    ['dangling', /dangling is a link to nowhere, which does not exist$/],
  ])('refuses %s with the setting and the path', (path, message) => {
    expect(refusal(() => checkOutputFile(join(home, path), '--out'))).toMatch(message);
  });
});

const script = `
  import { makeOutputFolder, checkOutputFile } from ${JSON.stringify(new URL('./output_paths.ts', import.meta.url).href)};
  for (const [use, path] of [[makeOutputFolder, process.argv[1]], [checkOutputFile, process.argv[1] + '/page.html']]) {
    try { use(path, '--out'); } catch (error) { console.log(error.message); }
  }`;
const program = [process.execPath, '--import', 'tsx', '--input-type', 'module', '-e', script];

it('refuses an empty path, as from an unset variable', () => {
  for (const use of [makeOutputFolder, checkOutputFile]) {
    expect(refusal(() => use('', '--out'))).toBe('--out: cannot be used for output: the path is empty');
  }
});

const hasNamespaces = spawnSync('unshare', ['-rm', 'true']).status === 0;
it.skipIf(!hasNamespaces)('names a read-only file system', () => {
  const mount = 'mount -t tmpfs -o ro tmpfs "$0" && "$@" "$0"';
  const lines = execFileSync('unshare', ['-rm', 'sh', '-c', mount, join(home, 'folder'), ...program], {
    encoding: 'utf8',
  });
  expect(lines.trim().split('\n')).toEqual([
    expect.stringMatching(/^--out: .*folder: cannot be used for output: the file system is read-only$/),
    expect.stringMatching(/^--out: .*page\.html: cannot be used for output: .*the file system is read-only$/),
  ]);
  expect(existsSync(join(home, 'folder', 'page.html'))).toBe(false);
});

it.skipIf(!hasNamespaces)('names a full disk', () => {
  const mount =
    'mount -t tmpfs -o size=64k tmpfs "$0"; head -c 100k /dev/zero > "$0/big" 2> /dev/null; "$@" "$0"; ls "$0"';
  const lines = execFileSync('unshare', ['-rm', 'sh', '-c', mount, join(home, 'folder'), ...program], {
    encoding: 'utf8',
  });
  const full = /cannot be used for output: .*no space left on the disk$/;
  expect(lines.trim().split('\n')).toEqual([expect.stringMatching(full), expect.stringMatching(full), 'big']);
});

const asNobody = ['setpriv', '--reuid', '65534', '--clear-groups'];
const canBecomeNobody = (() => {
  const source = fileURLToPath(new URL('./output_paths.ts', import.meta.url));
  const [first, ...rest] = [
    ...asNobody,
    process.execPath,
    '-e',
    `fs.readFileSync(${JSON.stringify(source)})`,
  ];
  return spawnSync(first, rest).status === 0;
})();
it.skipIf(!canBecomeNobody)('names a folder without permission', () => {
  execFileSync('chmod', ['755', home]);
  const lines = execFileSync(
    'setpriv',
    ['--reuid', '65534', '--clear-groups', ...program, join(home, 'folder')],
    {
      encoding: 'utf8',
      env: { ...process.env, HOME: home, TMPDIR: tmpdir() },
    },
  );
  expect(lines.trim().split('\n')).toEqual([
    expect.stringMatching(/^--out: .*folder: cannot be used for output: permission denied$/),
    expect.stringMatching(/page\.html: cannot be used for output: .*permission denied$/),
  ]);
});

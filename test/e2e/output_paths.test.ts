/** @file Every command that writes names the setting and the path of an output that cannot be, and ends with 2. */
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { stmixerHere } from '../support/cli.js';
import { writeRunFolder } from '../support/run_folder.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
  writeFileSync(join(home, 'file'), 'content');
  symlinkSync('nowhere', join(home, 'dangling'));
  mkdirSync(join(home, 'run'));
  writeRunFolder(join(home, 'run'), { iterations: 0 });
  mkdirSync(join(home, 'videos'));
  writeFileSync(join(home, 'videos', 'v.mp4'), '');
});

const CONFIG = ['--config-file', 'config_files/tiny.yaml'];
const outputDir = (path: string) => [...`${MICRO} OUTPUT_DIR`.split(' '), path];
const DETECT = 'detect --weights checkpoints/sample.pth --input sample/frames/vtest_val'.split(' ');
const COMMANDS: [string, string, (path: string) => string[]][] = [
  ['train', 'OUTPUT_DIR', (path) => ['train', ...CONFIG, ...outputDir(path)]],
  ['test', 'OUTPUT_DIR', (path) => ['test', ...CONFIG, ...outputDir(path)]],
  ['detect', '--out', (path) => [...DETECT, '--out', path]],
  [
    'evaluate',
    '--out',
    (path) => [
      ...[
        'evaluate',
        '--ground-truth',
        'sample/annotations/val.csv',
        '--predictions',
        'sample/annotations/val.csv',
      ],
      ...['--label-map', 'sample/annotations/label_map.pbtxt', '--out', path],
    ],
  ],
  ['report', '--out', (path) => ['report', join(home, 'run'), '--out', join(path, 'page.html')]],
  ['data prepare', '--out', (path) => ['data', 'prepare', '--videos', join(home, 'videos'), '--out', path]],
  ['data show', '--out', (path) => ['data', 'show', ...CONFIG, '--out', path]],
  ['convert', '<out>', (path) => ['convert', 'checkpoints/sample.pth', join(path, 'new.pth')]],
];

const OBSTACLES: [string, string, RegExp][] = [
  ['a file in the way', 'file', /file is a file, not a folder/],
  ['a link that leads nowhere', 'dangling', /dangling is a link to nowhere, which does not exist/],
];
if (process.platform === 'linux') {
  OBSTACLES.push(['a place where nothing can be made', '/proc/x', /\/proc accepts no folders/]);
}

describe.each(COMMANDS)('stmixer %s', (_, setting, args) => {
  it.each(OBSTACLES)('refuses %s', async (_what, path, why) => {
    const target = resolve(home, path);
    const { code, stderr } = await stmixerHere(args(target));
    expect(stderr).toMatch(new RegExp(`^stmixer: ${setting}: ${target}[^ ]*: cannot be used for output: `));
    expect(stderr).toMatch(why);
    expect(code).toBe(2);
  });
});

it('stmixer report writes a page elsewhere without changing the run folder', async () => {
  const before = readdirSync(join(home, 'run'));
  await stmixerHere(['report', join(home, 'run'), '--out', join(home, 'elsewhere', 'page.html')]);
  expect(existsSync(join(home, 'elsewhere', 'page.html'))).toBe(true);
  expect(readdirSync(join(home, 'run'))).toEqual(before);
});

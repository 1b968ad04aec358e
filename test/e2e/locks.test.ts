/** @file Two commands of a kind in one folder: the second ends with a sentence that names the first. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { delimiter } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { processStat } from '../../src/util/process_stat.js';
import { start, stmixerHere } from '../support/cli.js';
import { writeRunFolder } from '../support/run_folder.js';
import { temporaryFiles } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

const { at, file } = temporaryFiles();

const CONFIG = ['--config-file', 'config_files/tiny.yaml'];
const FILES = '--predictions sample/annotations/val.csv --label-map sample/annotations/label_map.pbtxt';
const EVALUATE = `evaluate --ground-truth sample/annotations/val.csv ${FILES} --out`.split(' ');
const DETECT = 'detect --input sample/frames/vtest_val/vtest_val_000060.jpg --out'.split(' ');
const overrides = () => `${MICRO} OUTPUT_DIR ${at('used')}`.split(' ');

/** Writes the lock of a process that lives, the parent of this one. */
function lockedBy(folder: string, name: string): string {
  const pid = process.ppid;
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    `${folder}/${name}`,
    JSON.stringify({ pid, host: hostname(), began: processStat(pid)?.began ?? '', since: 'noon' }),
  );
  return `(process ${pid} on ${hostname()}, since noon)`;
}

/** A program called ffmpeg that reads from a pipe until its other end is closed; returns the pipe. */
function slowFfmpeg(): string {
  mkdirSync(at('bin'));
  execFileSync('mkfifo', [at('pipe')]);
  writeFileSync(at('bin', 'ffmpeg'), `#!/bin/sh\n[ "$1" = -version ] || exec cat '${at('pipe')}'\n`);
  chmodSync(at('bin', 'ffmpeg'), 0o755);
  vi.stubEnv('PATH', `${at('bin')}${delimiter}${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  return at('pipe');
}

/** Commands look for weights before they lock a folder. */
const SOME_WEIGHTS = ['MODEL.WEIGHT', 'checkpoints/sample.pth'];

describe('a folder that another process writes into', () => {
  it.each([
    ['run.lock', 'run', 'OUTPUT_DIR', () => ['train', ...CONFIG, ...overrides()]],
    ['test.lock', '`stmixer test`', 'OUTPUT_DIR', () => ['test', ...CONFIG, ...overrides()]],
    ['detect.lock', '`stmixer detect`', '--out', () => [...DETECT, at('used'), ...CONFIG, ...SOME_WEIGHTS]],
    ['evaluate.lock', '`stmixer evaluate`', '--out', () => [...EVALUATE, at('used')]],
    ['show.lock', '`stmixer data show`', '--out', () => ['data', 'show', ...CONFIG, '--out', at('used')]],
  ])('is refused if it has a %s', async (name, who, setting, words) => {
    const holder = lockedBy(at('used'), name);
    const { code, stdout, stderr } = await stmixerHere(words());
    expect(stderr).toBe(
      `stmixer: ${at('used')}: another ${who} is writing here ${holder}. Choose another ${setting}, or wait until the other ` +
        `one ends; if it does not run any more, delete ${at('used', name)}\n`,
    );
    expect({ code, stdout }).toEqual({
      code: 2,
      stdout: expect.stringMatching(/^(\S.*: loading the program …\n)?$/),
    });
    expect(readdirSync(at('used'))).toEqual([name]);
  });

  it('is refused to a new run while a test of the earlier run continues', async () => {
    const holder = lockedBy(at('used'), 'test.lock');
    const { code, stderr } = await stmixerHere(['train', ...CONFIG, '--overwrite', ...overrides()]);
    expect(stderr).toContain(`another \`stmixer test\` is writing here ${holder}`);
    expect(code).toBe(2);
  });

  it('does not stop commands that write other files: a report of a run that trains', async () => {
    lockedBy(at('used'), 'run.lock');
    lockedBy(at('used'), 'test.lock');
    writeRunFolder(at('used'), { iterations: 0 });
    expect(await stmixerHere(['report', at('used')])).toMatchObject({ code: 0, stderr: '' });
    expect(await stmixerHere([...EVALUATE, at('used')])).toMatchObject({ code: 0 });
    const locks = (readdirSync(at('used'), { recursive: true }) as string[]).filter((path) =>
      /lock$/.test(path),
    );
    expect(locks.sort()).toEqual(['run.lock', 'test.lock']);
  });

  it('is refused to a second report of the same page', async () => {
    const holder = lockedBy(at('used', 'report'), 'report.lock');
    writeRunFolder(at('used'), { iterations: 0 });
    const { code, stderr } = await stmixerHere(['report', at('used')]);
    expect(stderr).toContain(`another \`stmixer report\` is writing here ${holder}`);
    expect(code).toBe(2);
  });
});

describe.skipIf(process.platform === 'win32')('two data prepare commands', () => {
  it('never work in one folder, and a signal that ends one releases the folder', async () => {
    const pipe = slowFfmpeg();
    mkdirSync(at('videos'));
    file('videos/a.mp4', 'x');
    const words = ['data', 'prepare', '--videos', at('videos'), '--out', at('frames')];
    const { child, finished } = start(words);
    onTestFinished(() => void child.kill('SIGKILL'));
    const writer = await open(pipe, 'w');
    const second = await stmixerHere(words);
    expect(second.stderr).toContain(
      `another \`stmixer data prepare\` is writing here (process ${child.pid} on`,
    );
    expect(second.code).toBe(2);
    expect(JSON.parse(readFileSync(at('frames', 'prepare.lock'), 'utf8')).pid).toBe(child.pid);
    child.kill('SIGUSR2');
    expect((await finished).code).toBe(140);
    await writer.close();
    expect(readdirSync(at('frames'))).toEqual([]);
  });
});

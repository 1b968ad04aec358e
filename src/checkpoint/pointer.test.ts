/** @file Tests of `last_checkpoint`: which file it leads to, wherever it was written. */
import { cpSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { CheckpointError } from '../errors.js';
import { followPointer } from './pointer.js';

const { at, file } = temporaryFiles();

/** The folder `run` with a checkpoint of the name 7 and this pointer. */
function run(pointer: string | Buffer): string {
  mkdirSync(at('run'), { recursive: true });
  file('run/model_0000007.pth', '');
  writeFileSync(at('run', 'last_checkpoint'), pointer);
  return at('run');
}

const SEVEN = 'model_0000007.pth';

describe('the file beside the pointer', () => {
  it.each([
    ['an absolute path of another machine', `/scratch/other/run/${SEVEN}`],
    ['a relative path, as the official trainer writes it', `output/run/${SEVEN}`],
    ['a bare name', SEVEN],
    ['a line end', `${SEVEN}\n`],
    ['a line end of Windows', `/x/${SEVEN}\r\n`],
    ['a byte order mark', `\ufeff/x/${SEVEN}`],
    ['a path of Windows', `C:\\runs\\run 1\\${SEVEN}\r\n`],
    ['quotes', `"/x/${SEVEN}"\n`],
    ['quotes after a byte order mark', `\ufeff'${SEVEN}'\r\n`],
    ['a share of Windows', `\\\\server\\runs\\${SEVEN}`],
    ['UTF-16, as PowerShell writes it', Buffer.from(`\ufeffC:\\runs\\${SEVEN}\r\n`, 'utf16le')],
  ])('is found by %s', (_what, pointer) => {
    expect(followPointer(run(pointer))).toEqual({ path: at('run', SEVEN) });
  });

  it('takes precedence over the file at the path, from which the folder may have been copied', () => {
    const folder = run(at('run', SEVEN));
    cpSync(folder, at('copy'), { recursive: true });
    expect(followPointer(at('copy'))).toEqual({ path: at('copy', SEVEN) });
  });

  it('may be a link to another disk', () => {
    const folder = run(SEVEN);
    rmSync(join(folder, SEVEN));
    symlinkSync(file('scratch.pth', ''), join(folder, SEVEN));
    expect(followPointer(folder)).toEqual({ path: join(folder, SEVEN) });
  });
});

describe('a pointer that leads out of its folder', () => {
  it.each(['absolute', 'relative'])('is followed with a warning that names both (%s)', (kind) => {
    const other = file('official.pth', '');
    const named = kind === 'absolute' ? other : relative(process.cwd(), other);
    const folder = run(named);
    const found = followPointer(folder);
    expect(found?.path).toBe(named);
    expect(found?.warning).toContain(`${join(folder, 'last_checkpoint')} names ${named}, which lies outside`);
  });

  it('may be relative to the folder, whatever the working directory', () => {
    const folder = run('../official.pth');
    file('official.pth', '');
    expect(followPointer(folder)?.path).toBe(at('official.pth'));
    expect(followPointer(folder)?.warning).toContain('which lies outside');
  });

  it('may lead into a subfolder, which is another run', () => {
    const folder = run(at('run', 'previous_run_1', 'old.pth'));
    cpSync(join(folder, SEVEN), at('run', 'previous_run_1', 'old.pth'), { recursive: true });
    expect(followPointer(folder)?.warning).toMatch(/outside/);
  });
});

describe('a useless pointer', () => {
  const advice = /; write the path of the checkpoint to go on from into .*last_checkpoint$/;

  it.each([
    ['empty', '', /is empty/],
    ['white space', ' \r\n', /is empty/],
    [
      'a missing file',
      'gone/model.pth',
      /names gone\/model\.pth, but neither that nor .*run\/model\.pth exists/,
    ],
    ['a folder', '.', /names \., which is a folder, not a checkpoint/],
    ['the root', '/', /names \/, which is a folder/],
    ['bytes that are no path', 'a\0b', /names a\\x00b, but/],
    ['two lines', `${SEVEN}\nmore`, /names model_0000007\.pth\\x0amore/],
  ])('is an error with advice: %s', (_what, pointer, message) => {
    const follow = () => followPointer(run(pointer));
    expect(follow).toThrow(CheckpointError);
    expect(follow).toThrow(message);
    expect(follow).toThrow(advice);
  });

  it('is not read if it is the checkpoint itself', () => {
    const folder = run('');
    truncateSync(join(folder, 'last_checkpoint'), 2 ** 33);
    expect(() => followPointer(folder)).toThrow(/is too large for the path of a checkpoint; write/);
  });

  it('returns null if the pointer is missing', () => {
    expect(followPointer(at())).toBeNull();
  });
});

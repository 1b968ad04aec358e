/** @file What can be looked at: kinds of input, order of frames. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openInput, requireRoomFor } from './input.js';

const options = { fps: 10, signal: new AbortController().signal };
const picture = new URL('../../sample/frames/vtest_val/vtest_val_000001.jpg', import.meta.url).pathname;
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stmixer-input-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('openInput', () => {
  it('sorts a folder by name, numbers by value, and leaves out what is no picture', async () => {
    const frames = join(folder, 'my.clip');
    mkdirSync(join(frames, 'more.jpg'), { recursive: true });
    for (const name of ['f10.jpg', 'f9.JPG', 'f1.jpeg', '.f0.jpg']) copyFileSync(picture, join(frames, name));
    writeFileSync(join(frames, 'notes.txt'), '');
    const opened = await openInput(frames, options);
    expect(opened).toMatchObject({ kind: 'folder', name: 'my.clip', fps: 10 });
    expect(opened.paths.map((path) => basename(path))).toEqual(['f1.jpeg', 'f9.JPG', 'f10.jpg']);
  });

  it('takes one picture as a still', async () => {
    expect(await openInput(picture, options)).toMatchObject({
      kind: 'picture',
      name: 'vtest_val_000001',
      paths: [picture],
    });
  });

  it('says what is wrong', async () => {
    await expect(openInput(join(folder, 'none.mp4'), options)).rejects.toThrow(
      /none\.mp4: there is no such file/,
    );
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    await expect(openInput(empty, options)).rejects.toThrow(/empty: there are no pictures in this folder/);
  });

  it.skipIf(!hasFfmpeg)('names TMPDIR where frames cannot be stored in it (needs ffmpeg)', async () => {
    const video = join(folder, 'short.avi');
    execFileSync('ffmpeg', ['-loglevel', 'error', '-i', picture, '-c:v', 'mjpeg', video]);
    vi.stubEnv('TMPDIR', join(folder, 'none'));
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(openInput(video, options)).rejects.toThrow(
      /^TMPDIR: .*none: the frames of the video cannot be stored there: there is no such folder; set TMPDIR to/,
    );
  });

  it('needs room for the frames of a video before anything else, and none for pictures', () => {
    vi.stubEnv('TMPDIR', join(folder, 'none'));
    onTestFinished(() => void vi.unstubAllEnvs());
    const video = join(folder, 'any.avi');
    writeFileSync(video, '');
    expect(() => requireRoomFor(video)).toThrow(/^TMPDIR: .*none: .* there is no such folder; set TMPDIR to/);
    expect(() => requireRoomFor(picture)).not.toThrow();
    expect(() => requireRoomFor(folder)).not.toThrow();
  });
});

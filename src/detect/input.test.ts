/** @file What can be looked at: kinds of input, order of frames. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { temporaryPrefix } from '../files/leftovers.js';
import * as extraction from '../media/frame_extraction.js';
import { openInput, requireRoomFor } from './input.js';

const options = { fps: 10, signal: new AbortController().signal };
const image = new URL('../../sample/frames/vtest_val/vtest_val_000001.jpg', import.meta.url).pathname;
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
let folder: string;

/** Writes an image of 8×8 pixels, or an animation of several, half a second each. */
async function writeImages(path: string, count: number): Promise<void> {
  const greys = Array.from({ length: count }, (_, i) => ({ r: 40 + 80 * i, g: 90, b: 90 }));
  const images = greys.map((background) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background } })
      .png()
      .toBuffer(),
  );
  const input = await Promise.all(images);
  const image = count === 1 ? sharp(input[0]) : sharp(input, { join: { animated: true } });
  await (path.endsWith('.gif')
    ? image.gif({ delay: Array(count).fill(500) })
    : path.endsWith('.webp')
      ? image.webp()
      : image.jpeg()
  ).toFile(path);
}

beforeAll(() => {
  folder = temporaryFolderOfFile();
});

describe('openInput', () => {
  it('sorts a folder by name, numbers by value, and leaves out other files', async () => {
    const frames = join(folder, 'my.clip');
    mkdirSync(join(frames, 'more.jpg'), { recursive: true });
    for (const name of ['f10.jpg', 'f9.JPG', 'f1.jpeg', '.f0.jpg']) copyFileSync(image, join(frames, name));
    writeFileSync(join(frames, 'notes.txt'), '');
    const opened = await openInput(frames, options);
    expect(opened).toMatchObject({ kind: 'folder', name: 'my.clip', fps: 10 });
    expect(opened.paths.map((path) => basename(path))).toEqual(['f1.jpeg', 'f9.JPG', 'f10.jpg']);
  });

  it('reports other files in a folder of frames, and problems of its numbers', async () => {
    const frames = join(folder, 'gaps');
    mkdirSync(join(frames, 'deeper'), { recursive: true });
    for (const n of [1, 2, 5]) copyFileSync(image, join(frames, `f_${n}.jpg`));
    await writeImages(join(frames, 'moving.gif'), 2);
    for (const name of ['list.csv', 'film.mp4', '.prepared.json', '.hidden'])
      writeFileSync(join(frames, name), 'text');
    const { paths, notes, warnings } = await openInput(frames, options);
    expect(paths).toHaveLength(3);
    expect(notes.map((note) => note.replaceAll(`${frames}/`, ''))).toEqual([
      `skipped in ${frames}: 1 video (film.mp4), 1 animated image (moving.gif), 1 text or document (list.csv), ` +
        '1 hidden file or folder (.hidden), 1 folder (deeper)',
    ]);
    expect(warnings).toEqual([expect.stringMatching(/gaps: 2 numbers are missing .*f_2\.jpg, f_5\.jpg/)]);
  });

  it('refuses images that cannot be read and those of different sizes', async () => {
    const frames = join(folder, 'odd');
    mkdirSync(frames);
    for (const n of [1, 2, 3]) copyFileSync(image, join(frames, `f_${n}.jpg`));
    writeFileSync(join(frames, 'f_4.jpg'), 'no image');
    await expect(openInput(frames, options)).rejects.toThrow(
      /odd: 1 of 4 images cannot be read: .*f_4\.jpg: image 4: it is not a JPEG.*; or move files that are not frames out/,
    );
    await writeImages(join(frames, 'f_4.jpg'), 1);
    await expect(openInput(frames, options)).rejects.toThrow(
      /odd: .*different sizes: \d+×\d+ \(3 images, first: f_1\.jpg\), 8×8 \(1 image, first: f_4\.jpg\)/,
    );
  });

  it('proposes images in a subfolder, and videos', async () => {
    const outer = join(folder, 'outer');
    mkdirSync(join(outer, 'inner'), { recursive: true });
    copyFileSync(image, join(outer, 'inner', 'f_1.jpg'));
    await expect(openInput(outer, options)).rejects.toThrow(
      /no images in this folder .*1 folder .*--input .*outer\/inner$/,
    );
    writeFileSync(join(outer, 'film.mp4'), 'film');
    await expect(openInput(outer, options)).rejects.toThrow(/--input .*outer\/film\.mp4$/);
  });

  it('opens a GIF with one image as a still', async () => {
    await writeImages(join(folder, 'still.gif'), 1);
    expect(await openInput(join(folder, 'still.gif'), options)).toMatchObject({ kind: 'image' });
  });

  it.skipIf(!hasFfmpeg)('opens an animated GIF or PNG as a video (needs ffmpeg)', async () => {
    const gif = join(folder, 'moving.gif');
    await writeImages(gif, 3);
    const png = join(folder, 'moving.png');
    execFileSync('ffmpeg', ['-loglevel', 'error', '-i', gif, '-f', 'apng', png]);
    for (const input of [gif, png]) {
      const opened = await openInput(input, options);
      expect([opened.kind, opened.paths.length]).toEqual(['video', 15]);
      opened.close();
    }
  });

  it.skipIf(!hasFfmpeg)('reports that a file is empty (needs ffmpeg)', async () => {
    writeFileSync(join(folder, 'empty.mp4'), '');
    await expect(openInput(join(folder, 'empty.mp4'), options)).rejects.toThrow(
      /empty\.mp4: the file is empty/,
    );
  });

  it.skipIf(!hasFfmpeg)(
    'reports the real type of a file that only has the name of a video (needs ffmpeg)',
    async () => {
      const page = join(folder, 'page.mp4');
      writeFileSync(page, '<html>Not found</html>');
      await expect(openInput(page, options)).rejects.toThrow(/page\.mp4: .*it is a web page \(HTML\)/);
      writeFileSync(page, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
      await expect(openInput(page, options)).rejects.toThrow(/page\.mp4: .*Git LFS pointer.*git lfs pull/);
    },
  );

  it.skipIf(!hasFfmpeg)('removes the frames of a process that was killed (needs ffmpeg)', async () => {
    vi.stubEnv('TMPDIR', join(folder, 'temporary'));
    onTestFinished(() => void vi.unstubAllEnvs());
    const killed = spawnSync(process.execPath, ['--version']).pid;
    const left = join(folder, 'temporary', temporaryPrefix().replace(`-${process.pid}-`, `-${killed}-`));
    mkdirSync(left, { recursive: true });
    const film = join(folder, 'film.gif');
    await writeImages(film, 2);
    const opened = await openInput(film, options);
    expect(existsSync(left)).toBe(false);
    opened.close();
  });

  it.skipIf(!hasFfmpeg)(
    'reports that this ffmpeg cannot read an animated WebP, or reads it (needs ffmpeg)',
    async () => {
      const webp = join(folder, 'moving.webp');
      await writeImages(webp, 3);
      const opened = await openInput(webp, options).catch((error: Error) => error.message);
      if (typeof opened !== 'string') return opened.close();
      expect(opened).toMatch(
        /moving\.webp: .*animated or damaged WebP.*; convert it to a GIF or an MP4 first$/,
      );
    },
  );

  it.skipIf(!hasFfmpeg)(
    'takes an image of a format that only ffmpeg reads as a still (needs ffmpeg)',
    async () => {
      execFileSync('ffmpeg', ['-loglevel', 'error', '-i', image, join(folder, 'a.bmp')]);
      const opened = await openInput(join(folder, 'a.bmp'), options);
      opened.close();
      expect(opened).toMatchObject({ kind: 'image', paths: { length: 1 } });
    },
  );

  it.skipIf(!hasFfmpeg)('warns if HDR cannot be mapped to SDR (needs ffmpeg)', async () => {
    const hdr = join(folder, 'hdr.mkv');
    const tags = ['-color_primaries', 'bt2020', '-color_trc', 'smpte2084', '-colorspace', 'bt2020nc'];
    execFileSync('ffmpeg', [
      '-loglevel',
      'error',
      '-i',
      image,
      '-pix_fmt',
      'yuv420p10le',
      '-c:v',
      'ffv1',
      ...tags,
      hdr,
    ]);
    vi.spyOn(extraction, 'missingHdrFilters').mockResolvedValueOnce(['zscale']);
    onTestFinished(() => void vi.restoreAllMocks());
    const opened = await openInput(hdr, options);
    opened.close();
    expect(opened.warnings).toEqual([
      expect.stringMatching(/^HDR video: the colours of .*hdr\.mkv will look washed out/),
    ]);
  });

  it('opens an image as a still', async () => {
    expect(await openInput(image, options)).toMatchObject({
      kind: 'image',
      name: 'vtest_val_000001',
      paths: [image],
    });
  });

  it('proposes a similar name for a missing input', async () => {
    const there = join(folder, 'Film_01.jpg');
    copyFileSync(image, there);
    await expect(openInput(join(folder, 'film_1.jpg'), options)).rejects.toThrow(
      `there is no such file or folder, but there is ${there}, which differs only in letter case and leading zeros`,
    );
  });

  it('explains why an input is refused', async () => {
    await expect(openInput(join(folder, 'none.mp4'), options)).rejects.toThrow(
      /none\.mp4: there is no such file/,
    );
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    await expect(openInput(empty, options)).rejects.toThrow(/empty: there are no images in this folder/);
  });

  it.skipIf(!hasFfmpeg)('names TMPDIR if frames cannot be stored there (needs ffmpeg)', async () => {
    const video = join(folder, 'short.avi');
    execFileSync('ffmpeg', ['-loglevel', 'error', '-i', image, '-c:v', 'mjpeg', video]);
    vi.stubEnv('TMPDIR', join(folder, 'none'));
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(openInput(video, options)).rejects.toThrow(
      /^TMPDIR: .*none: the frames of the video cannot be stored there: there is no such folder; set TMPDIR to/,
    );
  });

  it('checks the room for the frames of a video before anything else, and needs none for images', () => {
    vi.stubEnv('TMPDIR', join(folder, 'none'));
    onTestFinished(() => void vi.unstubAllEnvs());
    const video = join(folder, 'any.avi');
    writeFileSync(video, '');
    expect(() => requireRoomFor(video)).toThrow(/^TMPDIR: .*none: .* there is no such folder; set TMPDIR to/);
    expect(() => requireRoomFor(image)).not.toThrow();
    expect(() => requireRoomFor(folder)).not.toThrow();
  });
});

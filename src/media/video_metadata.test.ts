/** @file Parsing the metadata that ffmpeg prints. */
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { parseMetadata, probeVideo } from './video_metadata.js';

const { at } = temporaryFiles();

const H264 =
  '  Stream #0:0(und): Video: h264 (High) (avc1 / 0x31), yuv420p(tv, bt709), 640x480 [SAR 1:1 DAR 4:3], 25 fps';

const metadata = (format: string, duration: string, stream = H264, ...more: string[]) =>
  parseMetadata([...more, `Input #0, ${format}, from 'file:/x/a':`, `  Duration: ${duration}`, stream]);

it.each([
  ['an MP4', metadata('mov,mp4,m4a,3gp,3g2,mj2', '00:01:02.50, start: 0.021000, bitrate: 9 kb/s'), 62.5],
  ['a raw stream', metadata('h264', 'N/A, bitrate: N/A'), null],
  [
    'a guess',
    metadata(
      'avi',
      '00:15:00.00, start: 0',
      H264,
      '[avi @ 0x1] Estimating duration from bitrate, this may be inaccurate',
    ),
    null,
  ],
  ['a difference of time stamps', metadata('mpegts', '00:15:00.00, start: 1.400000'), null],
  ['a DVD', metadata('mpeg', '00:15:00.00, start: 0.500000'), null],
  ['a cut of a longer film', metadata('matroska,webm', '00:15:00.00, start: 840.000000'), null],
])('takes the length of %s only if the file states it', (_, { kind, duration }, length) => {
  expect([kind, duration]).toEqual(['video', length]);
});

it('recognises videos without seeking', () => {
  expect(metadata('h264', 'N/A, bitrate: N/A').seekable).toBe(false);
  expect(metadata('mpegts', '00:15:00.00, start: 1.400000').seekable).toBe(true);
});

it('distinguishes HDR from SDR by the transfer function', () => {
  const colours = (format: string) =>
    metadata('mov', 'N/A', `Stream #0:0: Video: hevc (Main 10), ${format}, 64x48`).hdr;
  const wide = { matrix: 'bt2020nc', primaries: 'bt2020' };
  expect(colours('yuv420p10le(tv, bt2020nc/bt2020/smpte2084, progressive)')).toEqual({
    ...wide,
    transfer: 'smpte2084',
  });
  expect(colours('yuv420p10le(bt2020nc/bt2020/arib-std-b67)')).toEqual({ ...wide, transfer: 'arib-std-b67' });
  expect(colours('yuv420p10le(tv, unknown/unknown/smpte2084)')).toMatchObject({
    matrix: null,
    primaries: null,
  });
  expect(colours('yuv420p10le(tv, bt2020nc/bt2020/bt2020-10)')).toBeNull();
  expect(colours('yuv420p(tv, bt709)')).toBeNull();
});

it('recognises interlaced video', () => {
  const interlaced = (order: string) =>
    metadata('mov', 'N/A', `Stream #0:0: Video: h264, yuv420p(tv, bt709, ${order}), 64x48`).interlaced;
  expect(['top first', 'bottom coded first (swapped)', 'progressive'].map(interlaced)).toEqual([
    true,
    true,
    false,
  ]);
});

it.each([
  [
    'sound',
    [
      'Input #0, mp3, from x:',
      '  Stream #0:0: Audio: mp3',
      '  Stream #0:1: Video: mjpeg, 64x48 (attached pic)',
    ],
  ],
  ['subtitles', ['Input #0, srt, from x:', '  Stream #0:0: Subtitle: subrip']],
  ['image', ['Input #0, bmp_pipe, from x:', '  Stream #0:0: Video: bmp, bgr24, 64x48']],
  ['unknown', ['Input #0, tty, from x:', '  Stream #0:0: Video: ansi, pal8, 640x400, 25 fps']],
  ['unknown', ['file:/x/a: Invalid data found when processing input']],
])('finds no video in %s', (kind, lines) => {
  expect(parseMetadata(lines)).toMatchObject({ kind, problem: expect.stringMatching(/./) });
});

it('reports a GIF with one image as an image', async () => {
  const background = { r: 1, g: 2, b: 3 };
  await sharp({ create: { width: 8, height: 8, channels: 3, background } }).toFile(at('a.gif'));
  expect(await probeVideo(at('a.gif'), new AbortController().signal)).toMatchObject({ kind: 'image' });
});

/** @file Frames as ffmpeg takes them out of videos of many kinds: their times, shapes and colours. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { temporaryFiles, temporaryFolder } from '../../test/support/temporary_files.js';
import { runFfmpeg } from './ffmpeg.js';
import { type Extraction, extractionArgs, missingHdrFilters } from './frame_extraction.js';
import { probeVideo } from './video_metadata.js';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const encoders = hasFfmpeg ? execFileSync('ffmpeg', ['-hide_banner', '-encoders'], { encoding: 'utf8' }) : '';
const { signal } = new AbortController();
const { at } = temporaryFiles();
const MAP = hasFfmpeg && (await missingHdrFilters(signal)).length === 0;

/** Whether this ffmpeg has the encoder that the flags name. */
function canEncode(flags: readonly string[]): boolean {
  return encoders.includes(` ${flags[flags.indexOf('-c:v') + 1]} `);
}

function ffmpeg(...args: string[]): void {
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args]);
}

/** A film of 64×48 pixels whose grey level tells the time: 20 levels of video each second. */
const CLOCK = "color=black:d=2:s=64x48:r=10,geq=lum='20*T+16':cb=128:cr=128";

function clock(name: string, ...flags: string[]): string {
  ffmpeg('-f', 'lavfi', '-i', CLOCK, ...flags, at(name));
  return at(name);
}

/** The files of the frames of a video. */
async function frames(video: string, options: Partial<Extraction> = {}): Promise<string[]> {
  const metadata = await probeVideo(video, signal);
  expect(metadata.problem).toBeNull();
  const folder = temporaryFolder();
  const all = { start: 0, fps: 10, maxFrames: null, shortSide: null, mapHdr: MAP, threads: null, metadata };
  const { code, lines } = await runFfmpeg(extractionArgs(video, 'f', { ...all, ...options }), {
    cwd: folder,
  });
  expect({ code, lines }).toMatchObject({ code: 0 });
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
}

async function grey(path: string): Promise<number> {
  return (await sharp(path).stats()).channels[0].mean;
}

/** How far the seconds that frames of the clock show are from the times of the frames, at most. */
async function error(paths: readonly string[], start: (frame: number) => number = () => 0): Promise<number> {
  const shown = await Promise.all(paths.map(async (path) => (await grey(path)) / (20 * (255 / 219))));
  return Math.max(...shown.map((second, i) => Math.abs(second - start(i) - i / 10)));
}

async function sizes(paths: readonly string[]): Promise<string[]> {
  const all = await Promise.all(paths.map((path) => sharp(path).metadata()));
  return [...new Set(all.map(({ width, height }) => `${width}×${height}`))];
}

/** A GIF or WebP of four grey images, shown for 0.1, 0.5, 0.3 and 1 s. */
async function unevenly(name: string): Promise<string> {
  const one = (g: number) =>
    sharp({ create: { width: 32, height: 32, channels: 3, background: { r: g, g, b: g } } })
      .png()
      .toBuffer();
  const images = await Promise.all([20, 80, 140, 200].map(one));
  await sharp(images, { join: { animated: true } })
    .toFormat(name.endsWith('.gif') ? 'gif' : 'webp', { delay: [100, 500, 300, 1000] })
    .toFile(at(name));
  return at(name);
}

describe.skipIf(!hasFfmpeg)('the times of extracted frames (needs ffmpeg)', () => {
  it.for<[string, string[]]>([
    ['raw.h264', ['-c:v', 'libx264', '-qp', '4', '-pix_fmt', 'yuv420p']],
    ['late.ts', ['-c:v', 'mpeg2video', '-q:v', '2', '-r', '25', '-output_ts_offset', '100']],
    ['late.mkv', ['-c:v', 'mpeg4', '-q:v', '2', '-output_ts_offset', '100']],
  ])('are right for %s: frame n shows second n / fps after --start', async ([name, flags], { skip }) => {
    if (!canEncode(flags)) skip();
    const taken = await frames(clock(name, ...flags), { start: 1 });
    expect(taken).toHaveLength(10);
    expect(await error(taken, () => 1)).toBeLessThan(0.15);
  });

  it('start with the frame that is visible at --start, not the next one', async () => {
    const greys = await Promise.all(
      (await frames(await unevenly('a.gif'), { start: 0.3, fps: 10 })).map(grey),
    );
    expect(greys.map((value) => Math.round(value / 10))).toEqual([
      8,
      8,
      8,
      14,
      14,
      14,
      ...Array(10).fill(20),
    ]);
  });

  it('continue when the frame size changes', async () => {
    const [small, large] = ['64x48', '128x96'].map((size) =>
      readFileSync(clock(`${size}.mjpeg`, '-r', '25', '-s', size, '-q:v', '2')),
    );
    writeFileSync(at('both.mjpeg'), Buffer.concat([small, large]));
    const taken = await frames(at('both.mjpeg'));
    expect(taken).toHaveLength(40);
    expect(await error(taken, (i) => (i < 20 ? 0 : -2))).toBeLessThan(0.15);
    expect(await sizes(taken)).toEqual(['64×48']);
  });
});

describe.skipIf(!hasFfmpeg)('the shapes of extracted frames (needs ffmpeg)', () => {
  it('have square pixels, also in a rotated video', async () => {
    const wide = clock('wide.mp4', '-vf', 'setsar=2', '-pix_fmt', 'yuv420p');
    expect(await sizes(await frames(wide))).toEqual(['128×48']);
    expect(await sizes(await frames(wide, { shortSide: 24 }))).toEqual(['64×24']);
    // The matrix of a video that is turned by a quarter, as phones write it.
    const bytes = readFileSync(wide);
    const header = bytes.indexOf('tkhd');
    for (const [i, value] of [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000].entries())
      bytes.writeInt32BE(value, header + 44 + 4 * i);
    writeFileSync(at('turned.mp4'), bytes);
    expect(await sizes(await frames(at('turned.mp4')))).toEqual(['48×128']);
  });

  it('keep odd sizes', async () => {
    expect(await sizes(await frames(clock('odd.mkv', '-s', '63x47', '-c:v', 'ffv1')))).toEqual(['63×47']);
  });

  it('are deinterlaced', async () => {
    // A bright bar that moves 4 pixels from field to field.
    const source = "color=black:d=1:s=64x48:r=50,geq=lum='if(between(X,4*N,4*N+16),200,20)':cb=128:cr=128";
    const flags = [
      '-vf',
      'tinterlace=interleave_top',
      '-flags',
      '+ilme+ildct',
      '-c:v',
      'mpeg2video',
      '-q:v',
      '2',
    ];
    ffmpeg('-f', 'lavfi', '-i', source, ...flags, '-top', '1', at('a.mpg'));
    expect((await probeVideo(at('a.mpg'), signal)).interlaced).toBe(true);
    const taken = await frames(at('a.mpg'), { fps: 25 });
    const { data, info } = await sharp(taken[4]).greyscale().raw().toBuffer({ resolveWithObject: true });
    let combs = 0;
    for (let y = 2; y < info.height - 2; y += 2)
      for (let x = 0; x < info.width; x++) {
        const row = (k: number) => data[(y + k) * info.width + x];
        if (Math.abs(row(0) - row(1)) > 60 && Math.abs(row(0) - row(2)) < 30) combs++;
      }
    expect(combs).toBe(0);
  });
});

describe.skipIf(!hasFfmpeg)('the colours of extracted frames (needs ffmpeg)', () => {
  it.for<[string, string, string[]]>([
    [
      'full range',
      'b.mkv',
      ['-vf', 'scale=out_range=full', '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-q:v', '1'],
    ],
    ['ten bits', 'c.mkv', ['-c:v', 'ffv1', '-pix_fmt', 'yuv420p10le']],
    ['transparency', 'd.webm', ['-c:v', 'libvpx-vp9', '-lossless', '1', '-pix_fmt', 'yuva420p']],
  ])('keep their brightness with %s', async ([, name, flags], { skip }) => {
    if (!canEncode(flags)) skip();
    expect(await error(await frames(clock(name, ...flags)))).toBeLessThan(0.15);
  });

  it.skipIf(!MAP).each(['smpte2084', 'arib-std-b67'])(
    'are SDR if the video is HDR (%s)',
    async (transfer) => {
      const bars = 'smptebars=d=0.2:s=161x91:r=10';
      const sdr = ['-vf', 'scale=out_color_matrix=bt709:out_range=tv,format=yuv444p', '-c:v', 'ffv1'];
      const tags = (primaries: string, trc: string, matrix: string) => [
        '-color_primaries',
        primaries,
        '-color_trc',
        trc,
        '-colorspace',
        matrix,
        '-color_range',
        'tv',
      ];
      ffmpeg('-f', 'lavfi', '-i', bars, ...sdr, ...tags('bt709', 'bt709', 'bt709'), at('sdr.mkv'));
      const toHdr =
        'zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=2020,' +
        `zscale=t=${transfer}:m=2020_ncl:r=tv:npl=203,format=yuv444p10le`;
      const hdr = [
        '-vf',
        toHdr,
        '-c:v',
        'ffv1',
        '-pix_fmt',
        'yuv420p10le',
        ...tags('bt2020', transfer, 'bt2020nc'),
      ];
      ffmpeg('-i', at('sdr.mkv'), ...hdr, at('hdr.mkv'));
      const mean = async (path: string) =>
        (await sharp(path).stats()).channels.map((channel) => channel.mean);
      const wanted = await mean((await frames(at('sdr.mkv')))[0]);
      const distance = async (path: string) =>
        Math.max(...(await mean(path)).map((value, i) => Math.abs(value - wanted[i])));
      const mapped = await frames(at('hdr.mkv'));
      expect(await sizes(mapped)).toEqual(['161×91']);
      expect(await distance(mapped[0])).toBeLessThan(8);
    },
  );
});

it('missing HDR filters are listed', async () => {
  const pretend = (list: string) => {
    writeFileSync(at('ffmpeg'), `#!/bin/sh\ncat <<'END'\n${list}\nEND\n`);
    chmodSync(at('ffmpeg'), 0o755);
  };
  vi.stubEnv('PATH', `${at()}:/usr/bin:/bin`);
  onTestFinished(() => void vi.unstubAllEnvs());
  pretend(
    ' TS. yadif  V->V  Words\n .S. tonemap           V->V       Conversion\n .SC zscale            V->V    Apply',
  );
  expect(await missingHdrFilters(signal)).toEqual([]);
  pretend(' .. tonemap           V->V       Conversion of zscale\n');
  expect(await missingHdrFilters(signal)).toEqual(['zscale']);
});

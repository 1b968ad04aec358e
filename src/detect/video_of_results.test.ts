/** @file The video of the results: frames, times, sound and shape of the input's video, and boxes at the right time. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { findEncoder } from '../media/video_writer.js';
import { NEVER_ABORTED } from '../util/abort.js';
import { SILENT } from '../util/log.js';
import { openInput } from './input.js';
import { listKeyFrames } from './key_frames.js';
import { videoOfResults } from './video_of_results.js';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const FPS = 10;
const STEP = 0.5;
/** The last key frame of these short videos, at 1 s; its boxes are shown to the end. */
const LAST = 2;

const { at } = temporaryFiles();
let input: string;
let output: string;

beforeEach(() => {
  input = at('input.mp4');
  output = at('output.mp4');
});

/** Runs ffmpeg with space-separated arguments. */
function ffmpeg(...args: string[]): Buffer {
  return execFileSync('ffmpeg', ['-loglevel', 'error', '-y', ...args.flatMap((words) => words.split(' '))]);
}

const black = (rate: string, seconds = 1.2) =>
  `-f lavfi -i color=black:size=64x48:rate=${rate}:duration=${seconds}`;
const tone = (seconds = 1.2) => `-f lavfi -i sine=frequency=440:duration=${seconds}`;

/** Makes the video of the input, with one box in key frames of odd number. */
async function makeVideo(
  signal = NEVER_ABORTED,
  doneKeyFrames = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const warnings: string[] = [];
  const report = { ...SILENT, warn: (text: string) => void warnings.push(text) };
  const frames = await openInput(input, { fps: FPS, signal: NEVER_ABORTED });
  const found = await findEncoder();
  if ('problem' in found) throw new Error(found.problem);
  try {
    const video = videoOfResults({ ...found, path: output, frames, step: STEP, report, signal });
    const keyFrames = listKeyFrames(frames.paths.length, FPS, STEP);
    for (const [i, keyFrame] of keyFrames.slice(0, doneKeyFrames).entries()) {
      const box = { box: [0.25, 0.25, 0.75, 0.75], labels: [], kind: 'detection' as const, colour: 9 };
      await video.add(i % 2 === 1 ? [box] : [], keyFrame, keyFrames[i + 1]);
    }
    await video.close();
  } finally {
    frames.close();
  }
  return warnings;
}

/** Time in seconds of each frame, and whether it has the box. */
function framesOf(path: string): { time: number; hasBox: boolean }[] {
  // A strip across the left side of the box.
  const filter = 'crop=iw/20:ih/4:iw*0.25-iw/40:ih*3/8,showinfo';
  const lines = spawnSync('ffmpeg', ['-i', path, '-vf', filter, '-vsync', 'passthrough', '-f', 'null', '-'], {
    encoding: 'utf8',
  }).stderr.split('\n');
  return lines.flatMap((line) => {
    const match = /pts_time:([\d.]+).* mean:\[(\d+)/.exec(line);
    return match ? [{ time: Number(match[1]), hasBox: Number(match[2]) > 24 }] : [];
  });
}

/** What ffmpeg says about the streams of a file. */
function streamsOf(path: string): string {
  return spawnSync('ffmpeg', ['-i', path], { encoding: 'utf8' }).stderr;
}

const samplesOf = (path: string) => ffmpeg(`-i ${path} -vn -f s16le -ac 1 -`);

/** Boxes are shown from the middle before their key frame to the middle after it. */
const isShownAt = (time: number) => Math.min(LAST, Math.floor((time + STEP / 2) / STEP)) % 2 === 1;

describe.skipIf(!hasFfmpeg)('the video of the results of a video (needs ffmpeg)', () => {
  it.each([
    ['24', 24],
    ['30000/1001', 30000 / 1001],
    ['60', 60],
  ])('has each frame of one with %s frames per second at its time, and its sound', async (rate, fps) => {
    ffmpeg(black(rate), tone(), `-c:a aac ${input}`);
    expect(await makeVideo()).toEqual([]);
    const frames = framesOf(output);
    expect(frames.map(({ time }) => time)).toEqual(framesOf(input).map(({ time }) => time));
    expect(frames).toHaveLength(Math.round(1.2 * fps));
    const atEdge = (time: number) => Math.abs(((time + STEP / 2) % STEP) - 0) < 1e-4;
    for (const { time, hasBox } of frames)
      if (!atEdge(time)) expect([time, hasBox]).toEqual([time, isShownAt(time)]);
    expect(samplesOf(output).equals(samplesOf(input))).toBe(true);
    expect(streamsOf(output)).toMatch(new RegExp(`${fps === 30000 / 1001 ? '29.97' : rate} fps`));
  });

  it('keeps uneven times of frames', async () => {
    const uneven = "setpts='(N+floor(N/5)*3)/30/TB'";
    ffmpeg(black('30', 1), '-vf', uneven, `-vsync passthrough ${input}`);
    const times = framesOf(input).map(({ time }) => time);
    expect(
      new Set(times.slice(1).map((time, i) => Math.round(1000 * (time - times[i])))).size,
    ).toBeGreaterThan(1);
    await makeVideo();
    const frames = framesOf(output);
    expect(frames).toHaveLength(times.length);
    frames.forEach(({ time, hasBox }, i) => {
      expect(time).toBeCloseTo(times[i], 3);
      expect([time, hasBox]).toEqual([time, isShownAt(time)]);
    });
    expect(streamsOf(output)).not.toContain('Audio');
  });

  it('turns a video that is stored on its side, and evens odd sizes', async () => {
    const stored = at('stored.mp4');
    ffmpeg(black('10', 1), `-vf scale=65:49,format=yuvj444p -c:v mjpeg -f avi ${stored}`);
    ffmpeg(`-i ${stored} -c copy -metadata:s:v rotate=90 ${input}`);
    await makeVideo();
    const frame = await sharp(ffmpeg(`-i ${output} -frames:v 1 -c:v png -f image2pipe -`)).metadata();
    // 49×65 is enlarged six times.
    expect([frame.width, frame.height]).toEqual([294, 390]);
    expect(framesOf(output)).toHaveLength(10);
  });

  it('encodes sound that MP4 cannot hold', async () => {
    const wave = at('input.mov');
    ffmpeg(black('10', 1), tone(1), `-c:a pcm_s16le ${wave}`);
    input = wave;
    expect(await makeVideo()).toEqual([]);
    expect(streamsOf(output)).toContain('Audio: aac');
  });

  it('ends in the middle after the last finished key frame when the detection is stopped', async () => {
    ffmpeg(black('20'), tone(), `-c:a aac ${input}`);
    await makeVideo(AbortSignal.abort(), 2);
    const frames = framesOf(output);
    expect(frames.at(-1)!.time).toBeCloseTo(0.7, 2);
    expect(samplesOf(output).length / 2 / 44100).toBeLessThan(0.9);
  });

  it('reports a folder that cannot be written to', async () => {
    ffmpeg(black('10', 1), input);
    output = join(at(), 'no', 'such.mp4');
    await expect(makeVideo()).rejects.toThrow(/such\.mp4: the video cannot be written: .*No such file/);
  });
});

describe.skipIf(!hasFfmpeg)('the video of the results of a folder (needs ffmpeg)', () => {
  it('has every frame once', async () => {
    input = at('frames');
    mkdirSync(input);
    for (let i = 0; i < 12; i++) {
      await sharp({ create: { width: 64, height: 48, channels: 3, background: '#000' } })
        .jpeg()
        .toFile(join(input, `${i}.jpg`));
    }
    await makeVideo();
    const frames = framesOf(output);
    expect(frames.map(({ hasBox }) => hasBox)).toEqual(Array.from({ length: 12 }, (_, i) => i >= 3 && i < 8));
  });
});

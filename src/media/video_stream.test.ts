import { describe, expect, it } from 'vitest';
import { parseVideoStream } from './video_stream.js';

const stream = (rest: string) =>
  `  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709), ${rest}`;

describe('the size and rate of a video', () => {
  it.each([
    ['1920x1080 [SAR 1:1 DAR 16:9], 5000 kb/s, 25 fps, 25 tbr, 12800 tbn', { width: 1920, height: 1080 }, 25],
    ['1920x1080, 29.97 fps, 29.97 tbr, 30k tbn', { width: 1920, height: 1080 }, 30_000 / 1001],
    ['1440x1080 [SAR 4:3 DAR 16:9], 50 fps, 50 tbr', { width: 1920, height: 1080 }, 50],
    ['640x480 [SAR 0:1 DAR 0:1], 1k fps, 1k tbr', { width: 640, height: 480 }, 1000],
    ['640x480, 10 tbr', { width: 640, height: 480 }, null],
  ])('are read from %s', (text, size, fps) => {
    expect(parseVideoStream([stream(text)])).toEqual({ size, fps });
  });

  it('are those of the turned video, if the file says that it is turned', () => {
    const turned = [
      stream('1920x1080, 30 fps'),
      '    Side data:',
      '      displaymatrix: rotation of -90.00 degrees',
    ];
    expect(parseVideoStream(turned).size).toEqual({ width: 1080, height: 1920 });
    const other = [
      stream('1920x1080, 30 fps'),
      '  Stream #0:1: Data: none',
      '      displaymatrix: rotation of -90.00 degrees',
    ];
    expect(parseVideoStream(other).size).toEqual({ width: 1920, height: 1080 });
  });

  it('are not known of a file without a video', () => {
    expect(parseVideoStream(['a.mp3: no video', '  Stream #0:0: Audio: mp3'])).toEqual({
      size: null,
      fps: null,
    });
  });
});

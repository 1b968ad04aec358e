/** @file Tests of what is said about addresses and cameras in place of files. */
import { describe, expect, it } from 'vitest';
import { findWeights } from '../checkpoint/weight_path.js';
import { requireInput } from '../detect/input.js';
import { addressProblem, outputAddressProblem } from './addresses.js';

describe('an input that is no file', () => {
  it.each([
    [
      'rtsp://10.0.0.2:554/live',
      /^--input: rtsp:\S+: streams are not read yet; .*ffmpeg -i rtsp:\/\/10\.0\.0\.2:554\/live -t 60/,
    ],
    ['rtsp://me:secret@10.0.0.2/live', /^--input: rtsp:\/\/USER:PASSWORD@10\.0\.0\.2\/live: (?!.*secret)/],
    ['rtmp://a/b', /streams are not read yet/],
    ['udp://@:1234', /streams are not read yet/],
    [
      'https://a/live/index.m3u8?token=1',
      /streams are not read yet.*'https:\/\/a\/live\/index\.m3u8\?token=1'/,
    ],
    ['https://a/film.mp4', /addresses are not read yet; download a video first, e\.g\. with curl -LO/],
    ['HTTP://A/film.mp4', /addresses are not read yet/],
    ['https://www.youtube.com/watch?v=x', /video sites.*yt-dlp/],
    ['youtu.be/x', /video sites.*yt-dlp/],
    ['s3://bucket/film.mp4', /cloud storage are not read yet; copy a video to this machine/],
    ['gs://bucket/film.mp4', /cloud storage/],
    ['foo+bar://x', /addresses are not read yet/],
    ['file:///videos/film.mp4', /give the path alone: \/videos\/film\.mp4$/],
    ['0', /cameras are not read yet; .*-i \/dev\/video0/],
    ['/dev/video3', /cameras are not read yet; .*-i \/dev\/video3/],
    ['webcam', /cameras are not read yet/],
    ['-', /standard input is not read/],
    ['film.mp4', /there is no such file or folder/],
    ['C:\\videos\\film.mp4', /there is no such file or folder/],
    ['2024', /there is no such file or folder/],
  ])('is called what it is: %s', (input, says) => {
    expect(() => requireInput(input)).toThrow(says);
  });
});

describe('weights that are no file', () => {
  it.each([
    [
      'https://huggingface.co/a/b/model.safetensors',
      /^https:\S+: addresses are not read yet; download weights first/,
    ],
    ['s3://bucket/best.pth', /cloud storage are not read yet; copy weights/],
    ['best.pth', /^best\.pth: no such file/],
  ])('are called what they are: %s', (path, says) => {
    expect(() => findWeights(path, 'best')).toThrow(says);
  });
});

it('no path of a file counts as an address', () => {
  for (const path of ['a.mp4', './a:b.mp4', 'C:/a.mp4', '/data/http/a', 'rtsp.mp4', 'a/www.x.com', '10', ''])
    expect(addressProblem(path, 'file')).toBeNull();
});

describe('a place for results', () => {
  it.each(['s3://bucket/out', 'https://host/out', 'file:///tmp/out'])('is no address: %s', (path) => {
    expect(outputAddressProblem(path)).toMatch(/results are written into local folders only; give a path/);
  });

  it.each(['out', '/a/b', 'C:\\out', 'a:b', 'github.com/out'])('may be the path %s', (path) => {
    expect(outputAddressProblem(path)).toBeNull();
  });
});

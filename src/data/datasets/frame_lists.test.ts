/** @file Tests of the frame lists. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataConfig } from '../../../test/support/ava_folder.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { FramePaths, readFrameLists } from './frame_lists.js';

function read(...lists: string[]) {
  const folder = temporaryFolder();
  const names = lists.map((text, i) => {
    writeFileSync(join(folder, `${i}.csv`), text);
    return `${i}.csv`;
  });
  return readFrameLists(
    dataConfig({ 'DATA.PATH_TO_DATA_DIR': folder, 'AVA.FRAME_LIST_DIR': '', 'AVA.TRAIN_LISTS': names }),
    'train',
  );
}

const HEADER = 'original_vido_id video_id frame_id path labels\n';

describe('FramePaths', () => {
  it('returns the paths that it was given, whatever they look like', () => {
    const name = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc
        .tuple(fc.constantFrom('v/v_', ''), fc.nat(12), fc.constantFrom('.jpg', '', '.jp2'))
        .map((p) => p.join('')),
      fc.nat(120).map((n) => `a_${String(n).padStart(3, '0')}.jpg`),
      fc.constantFrom(
        'a_099.jpg',
        'a_100.jpg',
        'a_999.jpg',
        'a_1000.jpg',
        'x12345678901.jpg',
        'x12345678902.jpg',
      ),
    );
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 60 }), (paths) => {
        const frames = new FramePaths();
        for (const path of paths) frames.add(path);
        expect(frames.length).toBe(paths.length);
        expect(paths.map((_, i) => frames.at(i))).toEqual(paths);
      }),
    );
  });

  it('continues numbers when their count of digits changes', () => {
    const frames = new FramePaths();
    const paths = Array.from({ length: 1200 }, (_, i) => `v/v_${String(i + 1).padStart(3, '0')}.jpg`);
    for (const path of paths) frames.add(path);
    expect(paths.map((_, i) => frames.at(i))).toEqual(paths);
  });
});

describe('readFrameLists', () => {
  it('groups frames by video, in order of appearance, over several lists', () => {
    const { videos, warnings } = read(
      `${HEADER}b 0 0 b/1.jpg ""\na 1 0 a/1.jpg ""\nb 0 1 b/7.jpg ""\n`,
      `\uFEFF${HEADER.replace('\n', '\r\n')}a 1 1 a/2.jpg ""\r\n\r\nc 2 0 /else/where.png  ""`,
    );
    expect(
      videos.map(({ name, frames }) => [
        name,
        ...Array.from({ length: frames.length }, (_, i) => frames.at(i)),
      ]),
    ).toEqual([
      ['b', 'b/1.jpg', 'b/7.jpg'],
      ['a', 'a/1.jpg', 'a/2.jpg'],
      ['c', '/else/where.png'],
    ]);
    expect(warnings).toEqual([]);
  });

  it('reads a list longer than its buffer', () => {
    const lines = Array.from({ length: 9000 }, (_, i) => `vidéo 0 ${i} vidéo/${i * 3}.jpg ""`);
    const { videos } = read(HEADER + lines.join('\n'));
    expect(videos[0].frames.length).toBe(9000);
    expect(videos[0].frames.at(8999)).toBe('vidéo/26997.jpg');
  });

  it('warns if the header is missing', () => {
    const { videos, warnings } = read('v 0 0 v/0.jpg ""\nv 0 1 v/1.jpg ""\n');
    expect(videos[0].frames.length).toBe(1);
    expect(warnings[0]).toMatch(
      /0\.csv:1: .*header, .*: put the line "original_video_id .* labels" before it/,
    );
  });

  it.each([
    [
      'a wrong number of columns',
      `${HEADER}v 0 0 v/0.jpg ""\nv 0 1 my frames/1.jpg ""\n`,
      /0\.csv:3: expected 5 columns.*found 6/,
    ],
    [
      'a list separated by commas, once',
      `${HEADER}${'v,0,0,v/0.jpg,""\n'.repeat(9)}`,
      /^\S*0\.csv: columns are separated by "," instead of spaces; write the file again with spaces$/,
    ],
    [
      'a comma-separated line among others',
      `${HEADER}v 0 0 v/0.jpg ""\nv,0,1,v/1.jpg,""\n`,
      /0\.csv:3: expected 5 columns.*found 1/,
    ],
    ['a header alone', HEADER, /0\.csv: .*names no frames/],
    ['an empty file', '', /0\.csv: .*names no frames/],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ name: 'DataError', message: expect.stringMatching(message) }),
    );
  });

  it('refuses missing files and folders', () => {
    const folder = temporaryFolder();
    const lists = (names: string[]) => () =>
      readFrameLists(
        dataConfig({ 'DATA.PATH_TO_DATA_DIR': folder, 'AVA.FRAME_LIST_DIR': '', 'AVA.TEST_LISTS': names }),
        'test',
      );
    expect(lists(['none.csv'])).toThrow(
      /none\.csv: cannot read the frame list \(AVA\.TEST_LISTS\): there is no such file/,
    );
    expect(lists(['.'])).toThrow(/is a folder/);
  });

  it('names many mistakes at once', () => {
    const text = `${HEADER}v 0 0 v/0.jpg ""\n${'oops\n'.repeat(25)}`;
    expect(() => read(text)).toThrow(
      /^25 problems in the data:\n.*0\.csv:3:[\s\S]*0\.csv:12:[\s\S]*and 15 more$/,
    );
  });

  it('names a list of another form once', () => {
    expect(() => read(HEADER + 'v/0.jpg 12 3\n'.repeat(25))).toThrow(
      /^\S*0\.csv: none of its 25 rows can be read; the first of them, line 2: expected 5 columns.*, found 3$/,
    );
  });

  it.each([
    ['quoted fields', 'v 0 0 "v/0.jpg" ""\n"v" "0" "1" "v/1.jpg" ""\n'],
    ['quoted lines', '"v 0 0 v/0.jpg """""\n"v 0 1 v/1.jpg """""\n'],
    ['tabs', 'v\t0\t0\tv/0.jpg\t""\nv\t0\t1\tv/1.jpg\t""\n'],
    ['CR as line end', 'v 0 0 v/0.jpg ""\rv 0 1 v/1.jpg ""\r'],
  ])('reads a list with %s', (_, lines) => {
    const { videos } = read((HEADER + lines).replaceAll('\n', lines.includes('\r') ? '\r' : '\n'));
    expect(videos.map(({ name, frames }) => [name, frames.length, frames.at(0), frames.at(1)])).toEqual([
      ['v', 2, 'v/0.jpg', 'v/1.jpg'],
    ]);
  });

  it.each(['v\\v_1.jpg', 'D:\\ava\\v\\v_1.jpg'])('names paths of Windows once: %s', (path) => {
    const list = `${HEADER}v 0 0 ${path} ""\nv 0 1 ${path} ""\n`;
    expect(() => read(list)).toThrow(/0\.csv:2: paths have backslashes, as on Windows; .* with "\/"/);
    expect(() => read(list)).not.toThrow(/\n/);
  });

  it('reads quoted names with blanks', () => {
    const { videos } = read(`${HEADER}"my video" 0 0 "my video/0.jpg" ""\n`);
    expect([videos[0].name, videos[0].frames.at(0)]).toEqual(['my video', 'my video/0.jpg']);
  });

  it.each([',', ';', '|'])('names the separator %s once', (separator) => {
    const lines = ['a', 'b', 'c', 'd', 'e'].map((_, i) => ['v', 0, i, `v/${i}.jpg`, '""'].join(separator));
    expect(() => read(`${HEADER.replaceAll(' ', separator)}${lines.join('\n')}`)).toThrow(
      `0.csv: columns are separated by "${separator}" instead of spaces`,
    );
  });
});

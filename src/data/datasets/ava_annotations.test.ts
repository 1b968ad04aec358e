/** @file Tests of the AVA annotations. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataConfig } from '../../../test/support/ava_folder.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { listKeyFrames, readAnnotations } from './ava_annotations.js';

function read(text: string, changes: Record<string, unknown> = {}) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'boxes.csv'), text);
  const config = dataConfig({
    'DATA.PATH_TO_DATA_DIR': folder,
    'AVA.ANNOTATION_DIR': '',
    'AVA.TRAIN_GT_BOX_LISTS': ['boxes.csv'],
    ...changes,
  });
  return readAnnotations(config, 'train');
}

describe('readAnnotations', () => {
  it('identifies a box by the text of its coordinates', () => {
    const { videos } = read(
      'v,902,0.5,0.5,0.75,0.75,3,0\nv,0902,0.500,0.5,0.75,0.75,4,0\nv,902,0.5,0.5,0.75,0.75,7,0\n' +
        'v,902,0.5,0.5,0.75,0.75,3,0\nv,902,0.1,0.1,0.2,0.2,,0\nv,902,.1,1e-1,2E-1,0.2,-1\n',
    );
    const boxes = [...videos.get('v')!.seconds.get(902)!.values()];
    expect(boxes.map((box) => box.labels)).toEqual([[3, 7], [4], [], []]);
    expect(boxes[3].coordinates).toEqual([0.1, 0.1, 0.2, 0.2]);
    expect(videos.get('v')!.rows).toBe(6);
  });

  it('reads quoted columns, CRLF and blank lines', () => {
    const { videos } = read(
      '"v","0903","0.1","0.1","0.9","0.9","5","1"\r\n\r\nv,0903,0.1,0.1,0.9,0.9,"",1\r\n',
    );
    const boxes = [...videos.get('v')!.seconds.get(903)!.values()];
    expect(boxes).toEqual([{ coordinates: [0.1, 0.1, 0.9, 0.9], labels: [5] }]);
  });

  it('skips seconds outside 902…1798 and counts them', () => {
    const { videos, warnings } = read(
      'v,0901,0.1,0.1,0.9,0.9,5,1\nv,0902,0.1,0.1,0.9,0.9,5,1\nv,1798,0.1,0.1,0.9,0.9,5,1\nw,1799,0.1,0.1,0.9,0.9,5,1\n',
    );
    expect([...videos.keys()]).toEqual(['v']);
    expect([...videos.get('v')!.seconds.keys()]).toEqual([902, 1798]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^2 annotation rows skipped: .*902…1798; as in the official code, the first two seconds .*; set AVA\.LAST_SECOND 1799 .* \(first: .*boxes\.csv:1\)$/,
      ),
    ]);
  });

  it('reads times with fractions from AVA.FIRST_SECOND to AVA.LAST_SECOND, and names the setting for others', () => {
    const rows = [-1, 0, 0.5, 12.25, 12.5].map((time) => `v,${time},0.1,0.1,0.9,0.9,5,1\n`).join('');
    const { videos, warnings } = read(rows, { 'AVA.FIRST_SECOND': 0, 'AVA.LAST_SECOND': 12.25 });
    expect([...videos.get('v')!.seconds.keys()]).toEqual([0, 0.5, 12.25]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^2 annotation rows skipped: .* 0…12\.25; .*set AVA\.FIRST_SECOND -1 if .*; set AVA\.LAST_SECOND 13 to use rows up to second 12\.5 \(first: .*\)$/,
      ),
    ]);
  });

  it('takes times that differ by a thousandth for one key frame', () => {
    const { videos } = read(
      'v,902.033,0.1,0.1,0.9,0.9,5,1\nv,902.0333333,0.1,0.1,0.9,0.9,6,1\nv,902.067,0.1,0.1,0.9,0.9,5,1\nv,902.0666,0,0,0.5,0.5,5,1\n',
    );
    const { seconds } = videos.get('v')!;
    expect([...seconds].map(([time, boxes]) => [time, boxes.size])).toEqual([
      [902.033, 1],
      [902.067, 2],
    ]);
    expect([...seconds.get(902.0333)!.values()][0].labels).toEqual([5, 6]);
  });

  it('names the setting that reads seconds from the beginning of a video', () => {
    const rows = 'v,0,0.1,0.1,0.9,0.9,5,1\nv,1.5,0.1,0.1,0.9,0.9,5,1\n';
    expect(() => read(rows)).toThrow(
      /no row has a second inside 902…1798 .*set AVA\.FIRST_SECOND 0 if the first frame/,
    );
    expect(read(rows, { 'AVA.FIRST_SECOND': 0 }).videos.get('v')!.seconds.size).toBe(2);
  });

  it('keeps boxes that are partly outside', () => {
    const { videos } = read('v,902,-0.05,0.3,1.1,0.7,3,0\n');
    expect([...videos.get('v')!.seconds.get(902)!.values()][0].coordinates).toEqual([-0.05, 0.3, 1.1, 0.7]);
  });

  const good = 'v,0902,0.1,0.1,0.9,0.9,5,1\n';
  it.each([
    ['too few columns', 'v,0902,0.1,0.1,0.9,0.9', /found 6/],
    ['too many columns', 'v,0902,0.1,0.1,0.9,0.9,5,1,0.7', /found 9/],
    ['a header', 'video,second,x1,y1,x2,y2,action,person', /the line looks like a header: "video,second,/],
    ['no video name', ',0902,0.1,0.1,0.9,0.9,5,1', /name of the video, is empty/],
    ['words for numbers', 'v,0902,0.1,left,0.9,0.9,5,1', /y1 must be a number from 0 to 1, found "left"/],
    ['an empty coordinate', 'v,0902,,0.1,0.9,0.9,5,1', /x1 must be a number from 0 to 1, found ""/],
    ['nan', 'v,0902,nan,0.1,0.9,0.9,5,1', /x1 must be a number/],
    ['hexadecimal', 'v,0902,0x0,0.1,0.9,0.9,5,1', /x1 must be a number/],
    [
      'x inverted',
      'v,0902,0.9,0.1,0.1,0.9,5,1',
      /inverted box: x2 must be greater than x1, found x1 = 0\.9, x2 = 0\.1/,
    ],
    ['y inverted', 'v,0902,0.1,0.9,0.9,0.1,5,1', /inverted box: y2 must be greater than y1/],
    ['an empty box', 'v,0902,0.1,0.1,0.1,0.9,5,1', /x2 must be greater than x1/],
    ['a box on the left', 'v,0902,-0.5,0.1,-0.1,0.9,5,1', /wholly outside/],
    ['a box below', 'v,0902,0.1,1.0,0.9,1.2,5,1', /wholly outside/],
    [
      'pixels',
      'v,0902,10,20,100,200,5,1',
      /fractions of the image's size, from 0 to 1; 10 is not \(box 10,20,100,200\)/,
    ],
    ['action 0', 'v,0902,0.1,0.1,0.9,0.9,0,1', /action id must be a whole number from 1 to 80 .*found "0"/],
    ['action 81', 'v,0902,0.1,0.1,0.9,0.9,81,1', /from 1 to 80/],
    ['action 1.5', 'v,0902,0.1,0.1,0.9,0.9,1.5,1', /whole number/],
    ['a named action', 'v,0902,0.1,0.1,0.9,0.9,walk,1', /found "walk"/],
  ])('refuses %s with file and line', (_, line, message) => {
    expect(() => read(`${good}${line}\n${good}`)).toThrow(
      expect.objectContaining({ name: 'DataError', message: expect.stringMatching(message) }),
    );
    expect(() => read(`${good}${line}\n${good}`)).toThrow(/boxes\.csv:2: /);
  });

  it('reports that the first line is a header', () => {
    expect(() => read(`name,ts,l,t,r,b,act,who\n${good}`)).toThrow(
      /boxes\.csv:1: the line looks like a header: "name,ts,.*; remove it, because AVA's files have none$/,
    );
  });

  it('reports once how columns are separated', () => {
    expect(() => read(good.replaceAll(',', '\t').repeat(20))).toThrow(
      /^\S*boxes\.csv: columns are separated by tabs instead of commas; write the file again with commas$/,
    );
  });

  it.each([
    [
      'pixels',
      (i: number) => `v,90${i},24,58,44,118,1,0`,
      /none of its 5 rows can be read; the first of them, line 1: .*divide pixels/,
    ],
    [
      'ids from 0',
      (i: number) => `v,90${i},0.1,0.1,0.4,0.4,0,0`,
      /line 1: the action id .*found "0"; ids count from 1: .*add 1 to each/,
    ],
    [
      'names of actions',
      (i: number) => `v,90${i},0.1,0.1,0.4,0.4,walk,0`,
      /line 1: .*the id that the label map has/,
    ],
    [
      'widths and heights',
      (i: number) => `v,90${i},0.5,0.5,0.2,0.2,1,0`,
      /line 1: inverted box: .*, not a corner with width and height$/,
    ],
  ])('reports once that a file has %s', (_, rowOf, says) => {
    const text = [2, 3, 4, 5, 6].map(rowOf).join('\n');
    expect(() => read(text)).toThrow(says);
    expect(() => read(text)).not.toThrow(/\n/);
  });

  it('does not take milliseconds for a long video', () => {
    const advice = /set AVA\.LAST_SECOND 902000 .*, unless these are frame numbers or milliseconds/;
    expect(() => read('v,902000,0.1,0.1,0.4,0.4,1,0\n')).toThrow(advice);
  });

  it('accepts as many actions as MODEL.STM.ACTION_CLASSES', () => {
    const line = 'v,0902,0.1,0.1,0.9,0.9,81,1';
    expect(() => read(line, { 'MODEL.STM.ACTION_CLASSES': 81 })).not.toThrow();
    expect(() => read(line, { 'MODEL.STM.ACTION_CLASSES': 3 })).toThrow(/from 1 to 3/);
  });

  it('refuses files without a usable row', () => {
    expect(() => read('')).toThrow(/boxes\.csv: the annotation file .*is empty/);
    expect(() => read('v,5,0.1,0.1,0.9,0.9,1,1')).toThrow(
      /no row has a second inside 902…1798.*boxes\.csv:1/,
    );
    expect(() => read(good, { 'AVA.TRAIN_GT_BOX_LISTS': ['none.csv'] })).toThrow(/none\.csv: cannot read/);
  });
});

describe('listKeyFrames', () => {
  it('orders by video, then by second, and locates frames by the frame rate', () => {
    const annotations = read(
      'b,905,0.1,0.1,0.9,0.9,5,1\nb,903,0.1,0.1,0.9,0.9,5,1\na,904,0.1,0.1,0.9,0.9,5,1\n',
    );
    const at = (fps: number) =>
      listKeyFrames(['x', 'a', 'b'], annotations, { first: 900, fps }).map((k) => [
        k.videoIndex,
        k.secondIndex,
        k.second,
        k.center,
      ]);
    expect(at(30)).toEqual([
      [1, 0, 904, 120],
      [2, 0, 903, 90],
      [2, 1, 905, 150],
    ]);
    expect(at(29.97).map((k) => k[3])).toEqual([120, 90, 150]);
    expect(at(10).map((k) => k[3])).toEqual([40, 30, 50]);
  });

  it('locates fractions of a second, from AVA.FIRST_SECOND on', () => {
    const annotations = read(
      [0, 0.033, 0.5, 0.3, 0.7].map((time) => `v,${time},0.1,0.1,0.9,0.9,5,1\n`).join(''),
      { 'AVA.FIRST_SECOND': 0 },
    );
    const at = (fps: number) =>
      listKeyFrames(['v'], annotations, { first: 0, fps }).map((k) => [k.second, k.center]);
    expect(at(30)).toEqual([
      [0, 0],
      [0.033, 1],
      [0.3, 9],
      [0.5, 15],
      [0.7, 21],
    ]);
    expect(at(25).map(([, frame]) => frame)).toEqual([0, 1, 8, 13, 18]);
  });
});

/** @file Rows that cannot be read: column names, other separators, seconds that are no whole numbers. */
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/temporary_files.js';
import { readDetections, readExclusions } from './ava_csv.js';

const { file } = temporaryFiles();

describe('a list of exclusions', () => {
  it.each([
    [
      'video_id,timestamp\nv,0902\n',
      /:1: the second must be a whole number, found "video_id,timestamp"; it looks like a line of column names: remove it$/,
    ],
    ['v;902\nw;903\n', /: its columns are separated by semicolons; separate them by commas: "v;902"$/],
    ['v\t902\n', /: its columns are separated by tabs; /],
    ['v 902\n', /: its columns are separated by blanks; /],
    [
      'v.mp4\n',
      /:1: expected two columns, the name of the video and the second, separated by a comma, found "v\.mp4"$/,
    ],
    ['v,902\nv,902.5\n', /:2: the second must be a whole number, found "v,902\.5"$/],
  ])('%j is refused', (text, message) => {
    expect(() => readExclusions(file('excluded.csv', text))).toThrow(message);
  });
});

describe('predictions', () => {
  const classes = new Set([1]);

  it('with column names say so', () => {
    const path = file('p.csv', 'video,sec,x1,y1,x2,y2,action,score\nv,902,0,0,1,1,1,0.5\n');
    expect(() => readDetections(path, classes)).toThrow(
      /:1: the second must be a number, found "sec"; it looks like a line of column names: remove it$/,
    );
  });

  it('with another separator are one problem, not one for each row', () => {
    const path = file('p.csv', 'v;902;0;0;1;1;1;0.5\n'.repeat(500));
    expect(() => readDetections(path, classes)).toThrow(
      /^[^\n]*p\.csv: its columns are separated by semicolons; [^\n]*$/,
    );
  });

  it('whose first row is merely wrong do not look like column names', () => {
    const path = file('p.csv', 'v,x,0,0,1,1,1,0.5\n');
    expect(() => readDetections(path, classes)).toThrow(/the second must be a number, found "x"$/);
  });
});

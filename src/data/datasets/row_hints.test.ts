/** @file Tests of what is said about values that other programs write in another form. */
import { describe, expect, it } from 'vitest';
import { parseAvaRow } from './ava_row.js';
import { boxHint } from './row_hints.js';

const messageOf = (row: string): string => {
  const parsed = parseAvaRow(row.split(','));
  return 'kind' in parsed ? parsed.message : 'was read';
};

describe('a row of another form', () => {
  it.each([
    ['a time of day', 'v,00:15:02,0,0,1,1,1,0', /found "00:15:02"; write the time in seconds, here 902$/],
    ['minutes', 'v,1:02.5,0,0,1,1,1,0', /here 62\.5$/],
    ["a spreadsheet's text", "v,'0902,0,0,1,1,1,0", /; remove the quotes and "=" around numbers$/],
    ["a spreadsheet's formula", 'v,="0902",0,0,1,1,1,0', /; remove the quotes and "=" around numbers$/],
    ['the name of an action', 'v,902,0,0,1,1,walk,0', /; write the id that the label map has for it$/],
    ['several actions', 'v,902,0,0,1,1,12|17,0', /; write one row for each action$/],
    [
      'a column of numbers before it',
      '0,v,902,0,0,1,1,1,0',
      /; remove the first column, which counts the rows$/,
    ],
    ['a comment', '# made by hand', /; remove comments$/],
    ['XML', '<annotations>', /; this looks like XML: stmixer data import reads/],
  ])('says what to do if it is %s', (_, row, says) => {
    expect(messageOf(row)).toMatch(says);
  });

  it('says how pixels, percent, widths and heights become corners in fractions', () => {
    expect(boxHint([24, 58, 44, 118], 2)).toContain('; divide pixels by the width or height');
    expect(boxHint([0.5, 0.5, 0.2, 0.6], 2)).toContain('; columns 3 to 6 are two corners');
    expect(boxHint([0.5, 0.5, 0.5, 0.6], 2)).toBe('');
  });
});

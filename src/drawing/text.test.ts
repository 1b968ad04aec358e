/** @file Outlines of text: widths, shortening, and that they stand where they should. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { canDraw, fitText, textPath, textWidth } from './text.js';

/** A character for private use, which no font draws. */
const NOWHERE = '\u{10fff0}';

/** Whether each pixel of a line of text, drawn at (10, 30) in 20 pixels, is inked. */
async function ink(text: string): Promise<boolean[][]> {
  const path = textPath(text, 10, 30, 20);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><path d="${path}"/></svg>`;
  const pixels = await sharp(Buffer.from(svg)).extractChannel(3).raw().toBuffer();
  return Array.from({ length: 40 }, (_, y) =>
    Array.from({ length: 200 }, (_, x) => pixels[y * 200 + x] > 127),
  );
}

const count = (rows: boolean[][]) => rows.flat().filter(Boolean).length;

describe('text', () => {
  it('covers the area between its start and its width, on the baseline', async () => {
    const rows = await ink('walk 0.92');
    expect(count(rows)).toBeGreaterThan(250);
    const columns = rows[0].map((_, x) => rows.some((row) => row[x]));
    const [first, last] = [columns.indexOf(true), columns.lastIndexOf(true)];
    expect(first).toBeGreaterThanOrEqual(10);
    expect(first).toBeLessThan(13);
    expect(last).toBeLessThan(10 + textWidth('walk 0.92', 20));
    expect(last).toBeGreaterThan(10 + textWidth('walk 0.92', 20) - 4);
    const lines = rows.map((row) => row.some(Boolean));
    expect(lines.lastIndexOf(true)).toBeLessThan(31);
    expect(lines.indexOf(true)).toBeGreaterThan(12);
  });

  it.each(['l', 'ł', 'Ж', 'λ', 'ệ', 'ь'])('has an outline of its own for %s', async (character) => {
    expect(textPath(character, 0, 0, 20)).not.toBe(textPath(NOWHERE, 0, 0, 20));
    expect(count(await ink(character))).toBeGreaterThan(10);
  });

  it('draws a letter with a mark as one', () => {
    expect(textPath('e\u0301', 0, 0, 20)).toBe(textPath('é', 0, 0, 20));
  });

  it.each([
    ['Arabic', 'حركة سريعة'],
    ['Persian', 'پیاده‌روی'],
    ['Hindi', 'हिन्दी क्षत्रिय'],
    ['Hebrew', 'הליכה שָׁלוֹם'],
    ['Thai', 'เดินที่น้ำ'],
    ['Russian', 'Прогулка'],
    ['Greek', 'Περπάτημα'],
    ['Vietnamese', 'Đi bộ ệ'],
  ])('draws %s with the fonts of the package', async (_, text) => {
    expect(canDraw(text)).toBe(true);
    expect(count(await ink(text))).toBeGreaterThan(50);
  });

  it('joins Arabic letters, and stacks what Devanagari stacks', () => {
    const apart = (text: string) =>
      Array.from(text, (letter) => textWidth(letter, 20)).reduce((a, b) => a + b);
    expect(textWidth('حركة', 20)).toBeLessThan(apart('حركة') * 0.95);
    expect(textWidth('क्षत्रिय', 20)).toBeLessThan(apart('क्षत्रिय') * 0.95);
  });

  it('writes from right to left, numbers and words of other scripts from left to right', async () => {
    // The first letter, alif, is a plain stroke; the rest of the word is left of it.
    const columns = (rows: boolean[][]) => rows[0].map((_, x) => rows.some((row) => row[x]));
    const [rows, alif] = [await ink('اسس'), await ink('ا')];
    const [last, stroke] = [columns(rows).lastIndexOf(true), columns(alif).filter(Boolean).length];
    expect(rows.filter((row) => row.slice(last - stroke + 1).some(Boolean)).length).toBeGreaterThan(10);
    expect(textPath('ab ا', 0, 0, 20).startsWith(textPath('ab', 0, 0, 20))).toBe(true);
  });

  it('draws a question mark for a character that no font has', () => {
    expect(textPath(NOWHERE, 0, 0, 20)).toBe(textPath('?', 0, 0, 20));
    expect(canDraw(NOWHERE)).toBe(false);
    expect(canDraw(' \u200b\n')).toBe(false);
  });

  it('is shortened to a width', () => {
    const text = 'talk to (e.g., self, a person, a group)';
    expect(fitText(text, 15, 1000)).toBe(text);
    const short = fitText(text, 15, 100);
    expect(short).toMatch(/^talk to .*\S…$/);
    expect(textWidth(short, 15)).toBeLessThanOrEqual(100);
    expect(fitText(text, 15, 1)).toBe('…');
    // A letter keeps its marks.
    expect(fitText('e\u0323\u0302xxx', 20, textWidth('ệ…', 20))).toBe('e\u0323\u0302…');
  });
});

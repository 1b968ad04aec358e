/** @file Outlines of text: widths, shortening, and that they stand where they should. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { fitText, textPath, textWidth } from './text.js';

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
    expect(textPath(character, 0, 0, 20)).not.toBe(textPath('中', 0, 0, 20));
    expect(count(await ink(character))).toBeGreaterThan(10);
  });

  it('draws a frame for a character that the font lacks, and a letter with a mark as one', async () => {
    expect(count(await ink('中'))).toBeGreaterThan(10);
    expect(textPath('e\u0301', 0, 0, 20)).toBe(textPath('é', 0, 0, 20));
  });

  it('is shortened to a width', () => {
    const text = 'talk to (e.g., self, a person, a group)';
    expect(fitText(text, 15, 1000)).toBe(text);
    const short = fitText(text, 15, 100);
    expect(short).toMatch(/^talk to .*\S…$/);
    expect(textWidth(short, 15)).toBeLessThanOrEqual(100);
    expect(fitText(text, 15, 1)).toBe('…');
  });
});

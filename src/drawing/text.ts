/** @file Text as outlines of a font from npm, so that images need no fonts of the machine and are the same everywhere. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import opentype from 'opentype.js';

/** The parts of the font, by script; a part is loaded when a character needs it. */
const PARTS = ['latin', 'latin-ext', 'greek', 'cyrillic', 'cyrillic-ext', 'vietnamese'];
const WEIGHT = 500;
const ELLIPSIS = '…';

/** Heights of a line of text above and below the baseline, in units of the font size. */
export const ASCENT = 0.93;
export const DESCENT = 0.25;

interface PlacedGlyph {
  readonly glyph: opentype.Glyph;
  readonly scale: number;
}

const require = createRequire(import.meta.url);
const fonts: opentype.Font[] = [];

function readPart(part: string): opentype.Font {
  const path = require.resolve(
    `@fontsource/roboto-condensed/files/roboto-condensed-${part}-${WEIGHT}-normal.woff`,
  );
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return opentype.parse(buffer.slice(byteOffset, byteOffset + byteLength));
}

/** The outline of a character; an empty box if no part of the font has it. */
function glyphOf(character: string): PlacedGlyph {
  for (let i = 0; i < PARTS.length; i++) {
    fonts[i] ??= readPart(PARTS[i]);
    const glyph = fonts[i].charToGlyph(character);
    if (glyph.index !== 0) return { glyph, scale: 1 / fonts[i].unitsPerEm };
  }
  return { glyph: fonts[0].glyphs.get(0), scale: 1 / fonts[0].unitsPerEm };
}

/** One glyph per code point, without shaping, which European scripts do not need. */
function glyphsOf(text: string): PlacedGlyph[] {
  return Array.from(text.normalize('NFC').replace(/\s/g, ' '), glyphOf);
}

function advance({ glyph, scale }: PlacedGlyph, size: number): number {
  return (glyph.advanceWidth ?? 0) * scale * size;
}

/** The width of a line of text. */
export function textWidth(text: string, size: number): number {
  return glyphsOf(text).reduce((width, glyph) => width + advance(glyph, size), 0);
}

/** The text, or a prefix with an ellipsis that fits into `maxWidth`. */
export function fitText(text: string, size: number, maxWidth: number): string {
  if (textWidth(text, size) <= maxWidth) return text;
  const characters = Array.from(text);
  while (characters.length > 0) {
    characters.pop();
    const shorter = characters.join('').trimEnd() + ELLIPSIS;
    if (textWidth(shorter, size) <= maxWidth) return shorter;
  }
  return ELLIPSIS;
}

/** The text as the `d` attribute of an SVG path that begins at x on the baseline y. */
export function textPath(text: string, x: number, y: number, size: number): string {
  let path = '';
  for (const placed of glyphsOf(text)) {
    path += placed.glyph.getPath(x, y, size).toPathData(2);
    x += advance(placed, size);
  }
  return path;
}

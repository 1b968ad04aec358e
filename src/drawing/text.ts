/** @file Text as outlines of fonts, shaped and ordered for every script, so that images need no program that draws text. */
import bidiFactory from 'bidi-js';
import { Direction, Buffer as GlyphBuffer, shape } from 'harfbuzzjs';
import type { OutlineFont } from './font_file.js';
import { chooseFonts, type FontChoice, fontsVersion, graphemesOf, needsMainFontOnly } from './fonts.js';

const ELLIPSIS = '…';
/** Stands for a character that no font has. */
const UNKNOWN = '?';

/** Heights of a line of text above and below the baseline, in units of the font size. */
export const ASCENT = 0.93;
export const DESCENT = 0.25;

/** A glyph at a place on the line, in units of the font size. */
interface PlacedGlyph {
  readonly font: OutlineFont;
  readonly glyph: number;
  readonly x: number;
  readonly y: number;
}

interface ShapedText {
  readonly glyphs: readonly PlacedGlyph[];
  readonly width: number;
  /** Whether fonts have all characters. */
  readonly isWhole: boolean;
}

/** Text of one font and one direction. */
interface Run {
  readonly font: OutlineFont;
  /** Odd from right to left, as in Unicode's algorithm for both directions (UAX #9). */
  readonly level: number;
  text: string;
}

// The types describe an ES module, but Node loads the CommonJS one, whose export is the factory itself.
const bidi = (bidiFactory as unknown as typeof bidiFactory.default)();
const buffer = new GlyphBuffer();
/** Scripts from right to left and the marks that change the direction. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const MAX_CACHED = 2000;
const cache = new Map<string, ShapedText>();
let cachedVersion = -1;

function shapeText(text: string): ShapedText {
  if (cachedVersion !== fontsVersion() || cache.size > MAX_CACHED) cache.clear();
  cachedVersion = fontsVersion();
  let shaped = cache.get(text);
  if (shaped === undefined) {
    const choices = chooseFonts(plain(text));
    const isWhole = choices.every(({ font }) => font !== null);
    shaped = { ...place(visualOrder(runsOf(choices))), isWhole };
    cache.set(text, shaped);
  }
  return shaped;
}

function plain(text: string): string {
  return text.normalize('NFC').replace(/[\s\p{Cc}]/gu, ' ');
}

function runsOf(choices: readonly FontChoice[]): Run[] {
  const drawn = choices.flatMap(({ text: piece, font }) =>
    font === null ? chooseFonts(UNKNOWN) : [{ text: piece, font }],
  );
  const line = drawn.map(({ text: piece }) => piece).join('');
  const levels = RIGHT_TO_LEFT.test(line) ? bidi.getEmbeddingLevels(line).levels : null;
  const runs: Run[] = [];
  let at = 0;
  for (const { text: piece, font } of drawn) {
    const level = levels?.[at] ?? 0;
    const last = runs.at(-1);
    if (last?.font === font && last.level === level) last.text += piece;
    else runs.push({ font: font!, level, text: piece });
    at += piece.length;
  }
  return runs;
}

/** The runs from left to right: rule L2 of UAX #9. */
function visualOrder(runs: readonly Run[]): Run[] {
  const ordered = [...runs];
  const highest = Math.max(0, ...runs.map(({ level }) => level));
  for (let level = highest; level > 0; level--) {
    for (let start = 0; start < ordered.length; start++) {
      let end = start;
      while (end < ordered.length && ordered[end].level >= level) end++;
      if (end === start) continue;
      ordered.splice(start, end - start, ...ordered.slice(start, end).reverse());
      start = end;
    }
  }
  return ordered;
}

function place(runs: readonly Run[]): Pick<ShapedText, 'glyphs' | 'width'> {
  const glyphs: PlacedGlyph[] = [];
  let width = 0;
  for (const { font, level, text } of runs) {
    const em = font.unitsPerEm;
    buffer.reset();
    buffer.addText(text);
    buffer.guessSegmentProperties();
    buffer.setDirection(level % 2 === 1 ? Direction.RTL : Direction.LTR);
    shape(font.font, buffer);
    for (const { codepoint, xAdvance = 0, xOffset = 0, yOffset = 0 } of buffer.getGlyphInfosAndPositions()) {
      glyphs.push({ font, glyph: codepoint, x: width + xOffset / em, y: yOffset / em });
      width += xAdvance / em;
    }
  }
  return { glyphs, width };
}

/** The width of a line of text. */
export function textWidth(text: string, size: number): number {
  return shapeText(text).width * size;
}

/** The text, or a prefix with an ellipsis that fits into `maxWidth`. */
export function fitText(text: string, size: number, maxWidth: number): string {
  if (textWidth(text, size) <= maxWidth) return text;
  const characters = graphemesOf(text);
  const prefix = (length: number) => characters.slice(0, length).join('').trimEnd() + ELLIPSIS;
  // More characters are wider, so the longest prefix is found by halving.
  let [fits, tooLong] = [0, characters.length];
  while (tooLong - fits > 1) {
    const length = Math.floor((fits + tooLong) / 2);
    if (textWidth(prefix(length), size) <= maxWidth) fits = length;
    else tooLong = length;
  }
  return prefix(fits);
}

/** The text as the `d` attribute of an SVG path that begins at x on the baseline y. */
export function textPath(text: string, x: number, y: number, size: number): string {
  let path = '';
  for (const { font, glyph, x: left, y: up } of shapeText(text).glyphs) {
    const scale = size / font.unitsPerEm;
    const [originX, originY] = [x + left * size, y - up * size];
    for (const { type, values } of font.outline(glyph)) {
      const numbers = values.map((value, i) =>
        i % 2 === 0 ? originX + value * scale : originY - value * scale,
      );
      path += type + numbers.map((number) => number.toFixed(2)).join(' ');
    }
  }
  return path;
}

/** Whether the main font has all characters of the text: letters of Europe. */
export function isInMainFont(text: string): boolean {
  return needsMainFontOnly(plain(text));
}

/** Whether fonts have all characters of the text, and it shows at least one. */
export function canDraw(text: string): boolean {
  const { glyphs, isWhole } = shapeText(text);
  return isWhole && glyphs.some(({ font, glyph }) => font.outline(glyph).length > 0);
}

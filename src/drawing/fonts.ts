/** @file Which font draws which characters: the package's fonts, that of `--font`, and those of this machine. */
import { createRequire } from 'node:module';
import { isUnseen, type OutlineFont, readFont, readUserFont } from './font_file.js';
import { findSystemFont } from './system_fonts.js';

/** The parts of the main font, by script; a part is loaded when a character needs it. */
const MAIN_FONT = ['latin', 'latin-ext', 'greek', 'cyrillic', 'cyrillic-ext', 'vietnamese'].map(
  (part) => `roboto-condensed/files/roboto-condensed-${part}-500-normal.woff`,
);
const OTHER_SCRIPTS = [
  'almarai/files/almarai-arabic-400-normal.woff',
  'sarala/files/sarala-devanagari-400-normal.woff',
  'noto-sans-thai/files/noto-sans-thai-thai-500-normal.woff',
  'alef/files/alef-hebrew-400-normal.woff',
];

const require = createRequire(import.meta.url);
const packaged = new Map<string, OutlineFont>();
const fromSystem: OutlineFont[] = [];
/** Characters, and sets of them, that no font of this machine has. */
const nowhere = new Set<string>();
let ofUser: OutlineFont | null = null;
let changes = 0;

/** The fonts one by one; each is read when it is needed for the first time. */
function* packagedFonts(files: readonly string[]): Generator<OutlineFont> {
  for (const file of files) {
    let font = packaged.get(file);
    if (font === undefined) {
      font = readFont(require.resolve(`@fontsource/${file}`));
      packaged.set(file, font);
    }
    yield font;
  }
}

/** Uses the font file for characters that the main font lacks, or none for undefined. Throws ConfigError for an unusable file. */
export function setUserFont(file: string | undefined): void {
  ofUser = file === undefined ? null : readUserFont(file);
  changes++;
}

/** A number that changes with the fonts. */
export function fontsVersion(): number {
  return changes;
}

/** The main font's part that has all characters, or null. */
function mainFontFor(characters: readonly string[]): OutlineFont | null {
  return firstWith(packagedFonts(MAIN_FONT), characters);
}

/** Whether the main font has all characters of the text. */
export function needsMainFontOnly(text: string): boolean {
  if (ASCII.test(text)) return true;
  return graphemesOf(text).every((grapheme) => mainFontFor(Array.from(grapheme)) !== null);
}

function otherFontFor(characters: readonly string[]): OutlineFont | null {
  if (ofUser !== null && hasAll(ofUser, characters)) return ofUser;
  return (
    firstWith(packagedFonts(OTHER_SCRIPTS), characters) ??
    firstWith(fromSystem, characters) ??
    systemFontFor(characters)
  );
}

function systemFontFor(characters: readonly string[]): OutlineFont | null {
  const seen = characters.filter((character) => !isUnseen(character));
  if (seen.some((character) => nowhere.has(character)) || nowhere.has(seen.join())) return null;
  const font = findSystemFont(seen);
  if (font !== null) fromSystem.push(font);
  else nowhere.add(seen.join());
  return font;
}

function firstWith(fonts: Iterable<OutlineFont>, characters: readonly string[]): OutlineFont | null {
  for (const font of fonts) if (hasAll(font, characters)) return font;
  return null;
}

function hasAll(font: OutlineFont, characters: readonly string[]): boolean {
  return characters.every((character) => font.has(character));
}

/** A piece of text and the font that draws it; null if no font can. */
export interface FontChoice {
  readonly text: string;
  readonly font: OutlineFont | null;
}

/** Characters that the first part of the main font has; most text has no others. */
const ASCII = /^[ -~]*$/;

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** The characters as readers count them: a letter with its marks is one. */
export function graphemesOf(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Chooses a font for each character. One font draws all that the main font lacks, if there is such a font: letters join. */
export function chooseFonts(text: string): FontChoice[] {
  if (ASCII.test(text)) return [{ text, font: mainFontFor([]) }];
  const graphemes = graphemesOf(text).map((grapheme) => {
    const characters = Array.from(grapheme);
    return { characters, font: mainFontFor(characters) };
  });
  const foreign = new Set(graphemes.flatMap(({ font, characters }) => (font === null ? characters : [])));
  if (foreign.size === 0)
    return graphemes.map(({ characters, font }) => ({ text: characters.join(''), font }));
  const common = otherFontFor([...foreign]);
  return graphemes.flatMap(({ characters, font }) =>
    font === null && common === null
      ? chooseSingly(characters)
      : [{ text: characters.join(''), font: font ?? common }],
  );
}

/** A font for one letter with its marks, or for each of them. */
function chooseSingly(characters: readonly string[]): FontChoice[] {
  const whole = otherFontFor(characters);
  if (whole !== null || characters.length === 1) return [{ text: characters.join(''), font: whole }];
  const parts = characters.map((character) => ({
    text: character,
    font: mainFontFor([character]) ?? otherFontFor([character]),
  }));
  const isWhole = parts.every(({ font }) => font !== null);
  return isWhole ? parts : [{ text: characters.join(''), font: null }];
}

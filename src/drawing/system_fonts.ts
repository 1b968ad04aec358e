/** @file Fonts of this machine that have given characters, for scripts that the package has no font for. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type OutlineFont, readFont } from './font_file.js';

interface FontPlace {
  readonly path: string;
  readonly index: number;
}

/** Fonts for large scripts that come with macOS and Windows. */
const MACOS = [
  'PingFang.ttc',
  'Hiragino Sans GB.ttc',
  'ヒラギノ角ゴシック W4.ttc',
  'AppleSDGothicNeo.ttc',
  'Supplemental/Arial Unicode.ttf',
].map((name) => `/System/Library/Fonts/${name}`);
const WINDOWS = [
  'msyh.ttc',
  'YuGothM.ttc',
  'malgun.ttf',
  'Nirmala.ttc',
  'Nirmala.ttf',
  'seguisym.ttf',
  'segoeui.ttf',
].map((name) => join(process.env.SystemRoot ?? 'C:\\Windows', 'Fonts', name));

/** Maximum number of fonts of fontconfig's list that are opened for one text. */
const MAX_TRIED = 4;
const PATIENCE_MS = 5000;

/** Fonts by path and index; null for one that cannot be read. They are large, and most of them are asked about again. */
const opened = new Map<string, OutlineFont | null>();

/** A font of this machine that has all of the characters, or null. */
export function findSystemFont(characters: readonly string[]): OutlineFont | null {
  for (const place of placesOf(characters)) {
    const font = openFont(place);
    if (font !== null && characters.every((character) => font.has(character))) return font;
  }
  return null;
}

function openFont({ path, index }: FontPlace): OutlineFont | null {
  const key = `${index} ${path}`;
  let font = opened.get(key);
  if (font === undefined) {
    font = tryReadFont(path, index);
    opened.set(key, font);
  }
  return font;
}

function tryReadFont(path: string, index: number): OutlineFont | null {
  try {
    return readFont(path, index);
  } catch {
    // A font that cannot be read is left out like one that does not exist.
    return null;
  }
}

function placesOf(characters: readonly string[]): FontPlace[] {
  if (process.platform === 'darwin' || process.platform === 'win32') {
    const known = process.platform === 'darwin' ? MACOS : WINDOWS;
    return known.filter((path) => existsSync(path)).map((path) => ({ path, index: 0 }));
  }
  return listFonts(characters).slice(0, MAX_TRIED);
}

/** Asks fontconfig; upright sans-serif fonts of normal weight come first. */
function listFonts(characters: readonly string[]): FontPlace[] {
  const codes = characters.map((character) => character.codePointAt(0)!.toString(16));
  const format = '%{file}\t%{index}\t%{weight}\t%{slant}\n';
  try {
    const list = execFileSync('fc-list', ['-f', format, `:charset=${codes.join(' ')}`], {
      encoding: 'utf8',
      timeout: PATIENCE_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const rank = ([path, , weight, slant]: string[]) =>
      (weight === '80' ? 0 : 4) + (slant === '0' ? 0 : 2) + (/serif|mono/i.test(path) ? 1 : 0);
    return (
      list
        .split('\n')
        .filter(Boolean)
        .sort()
        .map((line) => line.split('\t'))
        .sort((a, b) => rank(a) - rank(b))
        // The upper half names an instance of a variable font.
        .map(([path, index]) => ({ path, index: Number(index) & 0xffff }))
    );
  } catch {
    return [];
  }
}

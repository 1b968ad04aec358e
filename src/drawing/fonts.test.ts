/** @file The font of `--font`, and the ids of classes whose names no font can draw. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deflateSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { squaresFont } from '../../test/support/squares_font.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { ConfigError } from '../errors.js';
import { setUserFont } from './fonts.js';
import { drawnName, undrawnNames, undrawnNamesHint } from './names.js';
import { canDraw, textPath, textWidth } from './text.js';

const { at } = temporaryFiles();

/** Characters for private use, which no font of this machine has. */
const [FIRST, SECOND, EMPTY] = ['\u{10fff0}', '\u{10fff1}', '\u{10fff2}'];

afterEach(() => setUserFont(undefined));

const fontBytes = () => squaresFont([FIRST, SECOND], [EMPTY]);

/** The font as WOFF, with compressed tables. */
function toWoff(font: Buffer): Buffer {
  const count = font.readUInt16BE(4);
  const header = Buffer.alloc(44 + 20 * count);
  header.write('wOFF', 'latin1');
  font.copy(header, 4, 0, 4);
  header.writeUInt16BE(count, 12);
  const parts: Buffer[] = [header];
  let offset = header.length;
  for (let i = 0; i < count; i++) {
    const [entry, target] = [12 + 16 * i, 44 + 20 * i];
    const [start, length] = [font.readUInt32BE(entry + 8), font.readUInt32BE(entry + 12)];
    const table = font.subarray(start, start + length);
    const packed = deflateSync(table);
    const stored = packed.length < length ? packed : table;
    font.copy(header, target, entry, entry + 4);
    header.writeUInt32BE(offset, target + 4);
    header.writeUInt32BE(stored.length, target + 8);
    header.writeUInt32BE(length, target + 12);
    font.copy(header, target + 16, entry + 4, entry + 8);
    parts.push(stored);
    offset += stored.length;
  }
  return Buffer.concat(parts);
}

function write(name: string, content: Buffer | string): string {
  writeFileSync(at(name), content);
  return at(name);
}

describe('--font', () => {
  it.each([
    ['an OpenType file', (font: Buffer) => font],
    ['a WOFF file', toWoff],
  ])('draws characters that the other fonts lack, with %s', (_, pack) => {
    expect(canDraw(FIRST + SECOND)).toBe(false);
    setUserFont(write('font', pack(fontBytes())));
    expect(canDraw(FIRST + SECOND)).toBe(true);
    expect(textWidth(FIRST + SECOND, 20)).toBe(40);
    expect(textPath(FIRST, 0, 0, 20)).not.toBe(textPath('?', 0, 0, 20));
    setUserFont(undefined);
    expect(canDraw(FIRST)).toBe(false);
  });

  it('does not draw characters without an outline', () => {
    setUserFont(write('font.otf', fontBytes()));
    expect(canDraw(EMPTY)).toBe(false);
  });

  it('names a file that is missing or no font', () => {
    mkdirSync(at('folder'));
    const woff2 = createRequire(import.meta.url).resolve(
      '@fontsource/alef/files/alef-hebrew-400-normal.woff2',
    );
    for (const [file, why] of [
      [at('none.ttf'), 'there is no such file'],
      [at('folder'), 'this is a folder'],
      [write('text.ttf', 'some text'), 'it is not a font'],
      [write('empty.ttf', ''), 'it is not a font'],
      [write('cut.otf', fontBytes().subarray(0, 60)), 'it has no characters'],
      [write('cut.woff', toWoff(fontBytes()).subarray(0, 300)), 'it is damaged'],
      [woff2, 'it is WOFF2'],
    ]) {
      const use = () => setUserFont(file);
      expect(use).toThrow(ConfigError);
      expect(use).toThrow(`--font: ${file}: cannot be used: ${why}`);
    }
  });
});

describe('names of classes', () => {
  it('are ids if no font can draw them', () => {
    expect(drawnName(12, 'walk')).toBe('walk');
    expect(drawnName(12, `walk ${FIRST}`)).toBe('#12');
    expect(drawnName(12, ' ')).toBe('#12');
  });

  it('are listed in one sentence', () => {
    expect(undrawnNames([[1, 'walk']])).toBeNull();
    const many = Array.from({ length: 7 }, (_, i) => [i + 1, FIRST] as const);
    const quoted = JSON.stringify(FIRST);
    expect(undrawnNames([[0, 'walk'], ...many])).toBe(
      `no font has the characters of ${Array(5).fill(quoted).join(', ')} and 2 more: images show #1, #2, #3, #4, #5 and 2 more instead`,
    );
    expect(undrawnNamesHint(many)).toMatch(/--font FILE$/);
  });
});

/** @file Font files: TrueType and OpenType, plain, in a collection, or as WOFF. */
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { Blob, Face, Font, type SvgPathCommand } from 'harfbuzzjs';
import { ConfigError } from '../errors.js';

/** Characters that are never drawn: joiners, variation selectors, marks of direction. */
const UNSEEN = /^[\p{Default_Ignorable_Code_Point}\p{Cf}\s]$/u;

/** A font with the outlines of its glyphs. */
export class OutlineFont {
  readonly font: Font;
  readonly unitsPerEm: number;
  readonly #characters: Set<number>;
  readonly #outlines = new Map<number, readonly SvgPathCommand[]>();

  /** Reads a plain font, or one of a collection. Throws Error if the bytes hold no font. */
  constructor(bytes: Uint8Array, index = 0) {
    const face = new Face(new Blob(bytes), index);
    this.font = new Font(face);
    this.unitsPerEm = face.upem;
    this.#characters = new Set(face.collectUnicodes());
    if (this.#characters.size === 0) throw new Error('it has no characters');
  }

  /** Whether the font can draw the character: fonts of coloured images have characters without an outline. */
  has(character: string): boolean {
    if (UNSEEN.test(character)) return true;
    const code = character.codePointAt(0)!;
    if (!this.#characters.has(code)) return false;
    const glyph = this.font.nominalGlyph(code);
    return glyph !== undefined && glyph !== 0 && this.outline(glyph).length > 0;
  }

  /** The outline of a glyph in units of the font, y up. */
  outline(glyph: number): readonly SvgPathCommand[] {
    let outline = this.#outlines.get(glyph);
    if (outline === undefined) {
      outline = this.font.glyphToJson(glyph);
      this.#outlines.set(glyph, outline);
    }
    return outline;
  }
}

/** Whether a character leaves no mark of its own. */
export function isUnseen(character: string): boolean {
  return UNSEEN.test(character);
}

/** Reads a font file. Throws Error that says what the file is instead. */
export function readFont(path: string, index = 0): OutlineFont {
  const bytes = readFileSync(path);
  const signature = bytes.toString('latin1', 0, 4);
  if (signature === 'wOF2') throw new Error('it is WOFF2, which stmixer does not read');
  if (signature === 'wOFF') return new OutlineFont(unpackWoff(bytes), index);
  if (!['\0\x01\0\0', 'OTTO', 'true', 'ttcf'].includes(signature)) throw new Error('it is not a font');
  return new OutlineFont(bytes, index);
}

/** Reads the file of `--font`. Throws ConfigError that names it. */
export function readUserFont(path: string): OutlineFont {
  try {
    return readFont(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'this is a folder' : message;
    throw new ConfigError(
      `--font: ${path}: cannot be used: ${why}; give a font file (.ttf, .otf, .ttc or .woff)`,
      { cause: error },
    );
  }
}

const WOFF_HEADER = 44;
const WOFF_ENTRY = 20;

/** The font in a WOFF file, whose tables are compressed one by one (W3C WOFF 1.0). */
function unpackWoff(woff: Buffer): Buffer {
  const count = woff.readUInt16BE(12);
  const directory = Buffer.alloc(12 + 16 * count);
  woff.copy(directory, 0, 4, 8);
  directory.writeUInt16BE(count, 4);
  const parts: Buffer[] = [directory];
  let offset = directory.length;
  for (let i = 0; i < count; i++) {
    const entry = WOFF_HEADER + WOFF_ENTRY * i;
    const [start, packed, length] = [4, 8, 12].map((at) => woff.readUInt32BE(entry + at));
    const stored = woff.subarray(start, start + packed);
    const table = packed < length ? inflateSync(stored) : stored;
    const target = 12 + 16 * i;
    woff.copy(directory, target, entry, entry + 4);
    woff.copy(directory, target + 4, entry + 16, entry + 20);
    directory.writeUInt32BE(offset, target + 8);
    directory.writeUInt32BE(length, target + 12);
    const padding = Buffer.alloc(-length & 3);
    parts.push(table, padding);
    offset += length + padding.length;
  }
  return Buffer.concat(parts);
}

/** @file The data of an array in a pickle: in memory if they are short, else in the file until they are read. */
import type { FileSource } from '../../files/file_source.js';
import { PyOpaque, type PyValue } from '../python/values.js';

/** The data of an array. */
export interface ArrayData {
  /** Number of bytes. */
  readonly length: number;
  /** The bytes in new, aligned memory. */
  read(): Uint8Array;
  /** The bytes in pieces of whole elements, each of which the caller may change; absent if they cannot be read in pieces. */
  pieces?(): Iterable<Uint8Array>;
}

/** Bytes of a pickle that stay in the file. */
export class StoredBytes extends PyOpaque implements ArrayData {
  constructor(
    private readonly file: FileSource,
    private readonly offset: number,
    readonly length: number,
  ) {
    super('builtins.bytes', []);
  }

  read(): Uint8Array {
    return this.file.read(this.offset, this.length);
  }

  pieces(): Iterable<Uint8Array> {
    return this.file.pieces(this.offset, this.length);
  }
}

/**
 * Bytes that stay in the file as text: Python 3 writes those of protocol 0 to 2 as characters up to U+00FF, which take one or
 * two bytes in UTF-8.
 */
export class StoredText extends PyOpaque implements ArrayData {
  private constructor(
    private readonly file: FileSource,
    private readonly offset: number,
    private readonly storedLength: number,
    readonly length: number,
  ) {
    super('builtins.bytes', []);
  }

  /** Reads the text once to count its characters. Returns null if others than U+0000 to U+00FF are among them. */
  static at(file: FileSource, offset: number, storedLength: number): StoredText | null {
    let length = 0;
    let isInside = false;
    for (const piece of file.pieces(offset, storedLength)) {
      // The iterator of a buffer would take much longer.
      for (let i = 0; i < piece.length; i++) {
        const byte = piece[i];
        const isSecond = (byte & 0xc0) === 0x80;
        if (isInside !== isSecond || byte > LAST_LEAD || byte === 0xc0 || byte === 0xc1) return null;
        isInside = byte >= FIRST_LEAD;
        if (!isInside) length++;
      }
    }
    return isInside ? null : new StoredText(file, offset, storedLength, length);
  }

  read(): Uint8Array {
    const text = this.file.read(this.offset, this.storedLength);
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (let i = 0; i < bytes.length; i++) {
      const first = text[at++];
      bytes[i] = first < 0x80 ? first : (first << 6) | (text[at++] & 0x3f);
    }
    return bytes;
  }
}

/** The first bytes of two that stand for U+0080 to U+00FF. */
const FIRST_LEAD = 0xc2;
const LAST_LEAD = 0xc3;

/** The data of an array; null for a value that is none. */
export function arrayDataOf(value: PyValue | undefined): ArrayData | null {
  if (value instanceof StoredBytes || value instanceof StoredText) return value;
  // Python 2 has no type for bytes: its texts are bytes.
  const bytes = typeof value === 'string' ? latin1(value) : value;
  return bytes instanceof Uint8Array ? { length: bytes.length, read: () => bytes.slice() } : null;
}

function latin1(text: string): Uint8Array | null {
  const bytes = Uint8Array.from(Buffer.from(text, 'latin1'));
  return Buffer.from(bytes).toString('latin1') === text ? bytes : null;
}

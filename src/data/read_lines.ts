/** @file Reading large text files line by line, in the encodings that editors and spreadsheets write. */
import { closeSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { DataError } from '../errors.js';
import { twinClause } from '../files/twins.js';
import { foreignTable } from '../media/foreign_table.js';
import { addressProblem } from '../util/addresses.js';
import { encodingOf } from '../util/encoding.js';
import { shellWord } from '../util/text.js';

// A string cut out of a chunk keeps the whole chunk in memory, so chunks are small.
const CHUNK_BYTES = 64 * 1024;

interface ReadOptions {
  /** Whether the file may be JSON. */
  readonly json?: boolean;
}

/**
 * The lines of a text without their ends (LF, CRLF or CR) and without a byte order mark. The text is in UTF-8, or in UTF-16,
 * which its first bytes show. Throws DataError if the file cannot be read or is not text; `what` names the role of the file in its
 * message.
 */
export function* readLines(path: string, what: string, options: ReadOptions = {}): Generator<string> {
  let rest = '';
  let lineNumber = 0;
  for (const { text, isBroken } of chunks(path, what, options)) {
    let lines = rest + text;
    const fault = faultIn(lines, isBroken);
    if (fault !== null) {
      const line = lineNumber + lines.slice(0, fault.at).split(/\r\n|\n|\r/).length;
      throw new DataError(`${path}:${line}: cannot read the ${what}: ${fault.message}`);
    }
    let held = '';
    if (lines.includes('\r')) {
      // The line may end in the next chunk.
      held = /\r*$/.exec(lines)![0];
      lines = lines.slice(0, lines.length - held.length).replace(/\r+\n|\r/g, '\n');
    }
    let begin = 0;
    for (let end = lines.indexOf('\n'); end >= 0; end = lines.indexOf('\n', begin)) {
      lineNumber++;
      yield lines.slice(begin, end);
      begin = end + 1;
    }
    rest = lines.slice(begin) + held;
  }
  rest = rest.replace(/\r+$/, '');
  if (rest !== '') yield rest;
}

/** Characters that no text has. */
function faultIn(text: string, isBroken: boolean): { at: number; message: string } | null {
  const zero = text.indexOf('\0');
  if (zero >= 0)
    return {
      at: zero,
      message: 'the line has zero bytes, as after a crash or a full disk; copy or write the file again',
    };
  if (!isBroken) return null;
  return {
    at: text.indexOf(REPLACEMENT),
    message:
      'the line is not in UTF-8 but in an older encoding, such as Latin-1 (Windows-1252) or GBK; save the file in UTF-8, ' +
      'or convert it, e.g. with iconv -f LATIN1 -t UTF-8',
  };
}

/** The character that stands for bytes that cannot be decoded. */
const REPLACEMENT = '\ufffd';
const REPLACEMENT_BYTES = Buffer.from(REPLACEMENT);

interface Chunk {
  readonly text: string;
  /** Whether some bytes could not be decoded. */
  readonly isBroken: boolean;
}

/** The text of a file in pieces, without a byte order mark. */
function* chunks(path: string, what: string, { json = false }: ReadOptions): Generator<Chunk> {
  const attempt = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw unreadable(path, what, error);
    }
  };
  const fd = attempt(() => openSync(path, 'r'));
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let decode: ((bytes: Buffer) => string) | null = null;
    for (;;) {
      const count = attempt(() => readSync(fd, chunk, 0, CHUNK_BYTES, null));
      const bytes = chunk.subarray(0, count);
      decode ??= decoderFor(bytes, (reason) => {
        const foreign = reason ?? foreignTable(bytes, { json });
        if (foreign !== null) throw new DataError(`${path}: cannot read the ${what}: ${foreign}`);
      });
      const text = decode(bytes);
      yield { text, isBroken: text.includes(REPLACEMENT) && !bytes.includes(REPLACEMENT_BYTES) };
      if (count === 0) return;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * A function that decodes one piece of a file after the other, the last of them empty. Calls `refuse` if the first bytes are in
 * UTF-8, without a reason, or if they are in an encoding that cannot be read.
 */
function decoderFor(first: Buffer, refuse: (reason: string | null) => void): (bytes: Buffer) => string {
  const encoding = encodingOf(first);
  if (encoding === 'utf-16le' || encoding === 'utf-16be') {
    const decoder = new TextDecoder(encoding);
    return (bytes) => decoder.decode(bytes, { stream: bytes.length > 0 });
  }
  refuse(encoding === 'utf-32' ? 'it is a text in UTF-32; save it in UTF-8' : null);
  const decoder = new StringDecoder('utf8');
  let isStart = true;
  return (bytes) => {
    const text = bytes.length > 0 ? decoder.write(bytes) : decoder.end();
    const isMarked = isStart && text.charCodeAt(0) === 0xfeff;
    if (text !== '') isStart = false;
    return isMarked ? text.slice(1) : text;
  };
}

function unreadable(path: string, what: string, error: unknown): DataError {
  return new DataError(`${path}: cannot read the ${what}: ${reason(path, error as NodeJS.ErrnoException)}`, {
    cause: error,
  });
}

function reason(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const address = addressProblem(path, 'file');
    if (address !== null) return address;
    const link = code === 'ENOENT' ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
    if (link?.isSymbolicLink())
      return `it is a link to ${readlinkSync(path)}, which is missing; put the file there`;
    return `there is no such file${twinClause(path)}`;
  }
  if (code === 'EISDIR') return 'it is a folder, not a file';
  if (code === 'EACCES' || code === 'EPERM') {
    return `you have no permission to read it; let its owner run: chmod a+r ${shellWord(path)}`;
  }
  return message;
}

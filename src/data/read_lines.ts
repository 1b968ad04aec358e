/** @file Reading large text files line by line. */
import { closeSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { DataError } from '../errors.js';
import { twinClause } from '../files/twins.js';
import { shellWord } from '../util/text.js';

// A string cut out of a chunk keeps the whole chunk in memory, so chunks are small.
const CHUNK_BYTES = 64 * 1024;

/**
 * The lines of a UTF-8 file without their ends (LF or CRLF) and without a byte order mark. Throws DataError if the file
 * cannot be read; `what` names the role of the file in its message.
 */
export function* readLines(path: string, what: string): Generator<string> {
  let rest = '';
  for (const text of chunks(path, what)) {
    const lines = rest + text;
    let begin = 0;
    for (let end = lines.indexOf('\n'); end >= 0; end = lines.indexOf('\n', begin)) {
      yield lines.slice(begin, end > begin && lines[end - 1] === '\r' ? end - 1 : end);
      begin = end + 1;
    }
    rest = lines.slice(begin);
  }
  if (rest !== '') yield rest;
}

/** The text of a file in pieces, without a byte order mark. */
function* chunks(path: string, what: string): Generator<string> {
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
    const decoder = new StringDecoder('utf8');
    let isStart = true;
    for (;;) {
      const count = attempt(() => readSync(fd, chunk, 0, CHUNK_BYTES, null));
      const text = count > 0 ? decoder.write(chunk.subarray(0, count)) : decoder.end();
      yield isStart && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
      if (text !== '') isStart = false;
      if (count === 0) return;
    }
  } finally {
    closeSync(fd);
  }
}

function unreadable(path: string, what: string, error: unknown): DataError {
  return new DataError(`${path}: cannot read the ${what}: ${reason(path, error as NodeJS.ErrnoException)}`, {
    cause: error,
  });
}

function reason(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
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

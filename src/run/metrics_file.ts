/** @file Reads metrics.jsonl of a run of any length: of a long one, evenly spaced lines. */
import { closeSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { type JsonLines, type NumberedLine, parseNumberedLines } from '../util/json.js';

/** Lines that are read at least, if the file has them; at most twice as many are. Curves show no more. */
const ENOUGH_LINES = 10_000;
const CHUNK_BYTES = 2 ** 20;

/**
 * Reads the lines of the file. If there are more than 20,000, it reads every second, fourth, … line, those of skipped
 * iterations, and the last line. A file that is missing or cannot be read has none.
 */
export function readMetricsFile(path: string): JsonLines {
  let kept: NumberedLine[] = [];
  let stride = 1;
  let last: NumberedLine | null = null;
  let numLines = 0;
  const isKept = ({ number, text }: NumberedLine) =>
    (number - 1) % stride === 0 || text.includes('"skipped"');
  for (const line of linesOf(path)) {
    numLines = line.number;
    if (line.text.trim() === '') continue;
    last = line;
    if (isKept(line)) kept.push(line);
    if (kept.length <= 2 * ENOUGH_LINES) continue;
    stride *= 2;
    kept = kept.filter(isKept);
  }
  if (last && kept.at(-1)?.number !== last.number) kept.push(last);
  return parseNumberedLines(kept, numLines);
}

/** Yields the lines of a file, the text after the last line break included. */
function* linesOf(path: string): Generator<NumberedLine> {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return;
  }
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    const decoder = new StringDecoder('utf8');
    let rest = '';
    let number = 1;
    for (;;) {
      const size = readChunk(file, buffer);
      const lines = (rest + decoder.write(buffer.subarray(0, size))).split('\n');
      rest = lines.pop()!;
      for (const text of lines) yield { number: number++, text };
      if (size === 0) break;
    }
    yield { number, text: rest };
  } finally {
    closeSync(file);
  }
}

/** Fills the buffer from the file. Returns 0 at its end, or if it cannot be read on. */
function readChunk(file: number, buffer: Buffer): number {
  try {
    return readSync(file, buffer);
  } catch {
    return 0;
  }
}

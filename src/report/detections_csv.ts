/** @file Reads a few clips from a csv of detections without reading all of it: AVA's has millions of rows. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parseAvaRow } from '../data/datasets/ava_row.js';
import { parseDecimal, splitCsv } from '../data/datasets/csv.js';

/** A person in a csv of detections. */
export interface CsvPerson {
  readonly box: readonly number[];
  /** Action id → probability. */
  readonly actions: ReadonlyMap<number, number>;
}

export interface CsvClip {
  readonly video: string;
  readonly second: number;
  readonly persons: readonly CsvPerson[];
}

const CHUNK = 1 << 18;
/** Upper bound for the rows of a clip: 100 persons with 80 actions take half a megabyte. */
const MAX_CLIP_BYTES = 1 << 23;

/**
 * Reads up to `count` clips, evenly spaced in the file. Rows are `video,second,x1,y1,x2,y2,action id,score`, and those of a
 * clip follow each other; other rows are skipped. Throws the error of the operating system if the file cannot be read.
 */
export function pickClips(file: string, count: number): CsvClip[] {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const clips = new Map<string, CsvClip>();
    for (let i = 0; i < count; i++) {
      const clip = clipAfter(descriptor, Math.floor((size * i) / count), size);
      if (clip) clips.set(`${clip.video},${clip.second}`, clip);
    }
    return [...clips.values()];
  } finally {
    closeSync(descriptor);
  }
}

/** The first clip that begins at or after a byte offset; null if there is none. */
function clipAfter(descriptor: number, offset: number, size: number): CsvClip | null {
  const buffers: Buffer[] = [];
  for (let read = 0; read < MAX_CLIP_BYTES; read += CHUNK) {
    const chunk = Buffer.alloc(Math.max(0, Math.min(CHUNK, size - offset - read)));
    readSync(descriptor, chunk, 0, chunk.length, offset + read);
    buffers.push(chunk);
    const isEnd = offset + read + chunk.length >= size;
    const rows = Buffer.concat(buffers).toString('utf8').split('\n');
    // The first and the last row may be cut off, unless they are at the ends of the file.
    const parsed = rows
      .slice(offset === 0 ? 0 : 1, isEnd ? undefined : -1)
      .flatMap((row) => parseRow(row) ?? []);
    // The clip at the offset may have begun before it.
    const begin = offset === 0 ? 0 : parsed.findIndex((row) => row.key !== parsed[0].key);
    const clip = begin < 0 ? [] : parsed.slice(begin).filter(({ key }) => key === parsed[begin].key);
    if (clip.length > 0 && (isEnd || begin + clip.length < parsed.length)) return toClip(clip);
    if (isEnd) return null;
  }
  return null;
}

interface CsvRow {
  readonly key: string;
  readonly video: string;
  readonly second: number;
  readonly box: readonly number[];
  readonly action: number;
  readonly score: number;
}

function parseRow(line: string): CsvRow | null {
  const row = parseAvaRow(splitCsv(line.trimEnd()));
  if ('kind' in row || row.video === '' || row.action === null) return null;
  const { video, second, box, action } = row;
  const score = parseDecimal(row.last ?? '');
  return Number.isNaN(score) ? null : { key: `${video},${second}`, video, second, box, action, score };
}

function toClip(rows: readonly CsvRow[]): CsvClip {
  const persons = new Map<string, { box: readonly number[]; actions: Map<number, number> }>();
  for (const { box, action, score } of rows) {
    const key = box.join();
    if (!persons.has(key)) persons.set(key, { box, actions: new Map() });
    persons.get(key)!.actions.set(action, score);
  }
  const { video, second } = rows[0];
  return { video, second, persons: [...persons.values()] };
}

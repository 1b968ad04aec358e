/** @file A few clips out of a csv of detections, however large: AVA's has more rows than a report would want to read. */
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
/** More than any clip has: 100 persons with 80 actions are half a megabyte. */
const MAX_CLIP_BYTES = 1 << 23;

/**
 * Up to `count` clips, evenly spaced in the file, whose rows `video,second,x1,y1,x2,y2,action id,score` stand clip by
 * clip. Rows that are none are passed over. Throws the error of the operating system where the file cannot be read.
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

/** The first clip that begins at or after a byte; null behind the last. */
function clipAfter(descriptor: number, offset: number, size: number): CsvClip | null {
  const buffers: Buffer[] = [];
  for (let read = 0; read < MAX_CLIP_BYTES; read += CHUNK) {
    const chunk = Buffer.alloc(Math.max(0, Math.min(CHUNK, size - offset - read)));
    readSync(descriptor, chunk, 0, chunk.length, offset + read);
    buffers.push(chunk);
    const isEnd = offset + read + chunk.length >= size;
    const rows = Buffer.concat(buffers).toString('utf8').split('\n');
    // In the middle of a file the first row is cut, and so is the last one of what was read.
    const parsed = rows
      .slice(offset === 0 ? 0 : 1, isEnd ? undefined : -1)
      .flatMap((row) => parseRow(row) ?? []);
    // The clip that the offset falls into may have begun before it.
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

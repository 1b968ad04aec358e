/** @file The second of the data set's annotations at which an input begins. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/index.js';
import { readNote } from '../data/datasets/preparation_note.js';
import type { Frames } from './input.js';

/**
 * The second at which the input begins in the data set's annotations, so that detections.csv can be evaluated against them;
 * null for an input that is not in the data set.
 *
 * The first frame of a video in a data set is at AVA.FIRST_SECOND. The note of `stmixer data prepare` says where in the video
 * the frames begin. Without a note, a video that is longer than its frames counts as a film whose seconds are those of the
 * annotations, as in AVA.
 */
export function firstSecondOf(
  { DATA, AVA }: Config,
  { kind, name, paths, fps }: Pick<Frames, 'kind' | 'name' | 'paths' | 'fps'>,
): number | null {
  const folder = join(DATA.PATH_TO_DATA_DIR, AVA.FRAME_DIR, name);
  if (name === '' || !existsSync(folder)) return null;
  if (kind !== 'video') return AVA.FIRST_SECOND;
  const note = readNote(folder);
  if (note !== null) return AVA.FIRST_SECOND - note.start;
  const isLonger = paths.length > readdirSync(folder).length + fps;
  return isLonger ? 0 : AVA.FIRST_SECOND;
}

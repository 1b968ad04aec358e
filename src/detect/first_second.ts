/** @file Which second of the data set's annotations the first frame of an input is. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/index.js';
import { SECOND_OF_FRAME_0 } from '../data/datasets/ava_annotations.js';
import { readNote } from '../data_tools/prepare/prepared_video.js';
import type { Frames } from './input.js';

/**
 * The second at which the annotations of the data set put the beginning of the input, so that detections.csv can be
 * evaluated against them; null for an input that the data set does not have.
 *
 * The first frame that a data set has of a video is second 900. Where the frames begin in the video stands in the note of
 * `stmixer data prepare`. Without a note, a video that is longer than its frames is taken for a film of AVA, whose own seconds
 * are those of the annotations.
 */
export function firstSecondOf(
  { DATA, AVA }: Config,
  { kind, name, paths, fps }: Pick<Frames, 'kind' | 'name' | 'paths' | 'fps'>,
): number | null {
  const folder = join(DATA.PATH_TO_DATA_DIR, AVA.FRAME_DIR, name);
  if (name === '' || !existsSync(folder)) return null;
  if (kind !== 'video') return SECOND_OF_FRAME_0;
  const note = readNote(folder);
  if (note !== null) return SECOND_OF_FRAME_0 - note.start;
  const isLonger = paths.length > readdirSync(folder).length + fps;
  return isLonger ? 0 : SECOND_OF_FRAME_0;
}

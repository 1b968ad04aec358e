/** @file The note that `stmixer data prepare` leaves beside the frames of a video. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExtractionSettings } from '../../media/frame_extraction.js';

/** Name of the note; it begins with a point, so it does not look like a frame. */
export const NOTE = '.prepared.json';

/** Origin of a folder of frames. */
export interface PreparationNote extends ExtractionSettings {
  readonly frames: number;
  /** Name and size of the video file. */
  readonly source: string;
  readonly bytes: number;
  /** Whether the frames are of an HDR video that was not mapped to SDR. */
  readonly washedOut?: boolean;
}

/** The note in a folder of frames; null if `prepare` did not make the folder, or the note is broken. */
export function readNote(folder: string): PreparationNote | null {
  try {
    const note = JSON.parse(readFileSync(join(folder, NOTE), 'utf8')) as PreparationNote;
    return Number.isInteger(note.frames) && Number.isInteger(note.fps) ? note : null;
  } catch {
    return null;
  }
}

export function writeNote(folder: string, note: PreparationNote): void {
  writeFileSync(join(folder, NOTE), `${JSON.stringify(note)}\n`);
}

/** @file Writing frame lists in the format of AVA. */
import { closeSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The official header, including its misspelling. */
const HEADER = 'original_vido_id video_id frame_id path labels';

/** A video of a frame list. */
export interface ListedVideo {
  readonly name: string;
  /** Paths of the frames relative to the frame folder, in order. */
  readonly paths: readonly string[];
}

/** Writes a frame list. A reader of the file sees either the old list or the new one. */
export function writeFrameList(file: string, videos: Iterable<ListedVideo>): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.tmp`;
  const fd = openSync(temporary, 'w');
  try {
    writeFileSync(fd, `${HEADER}\n`);
    let id = 0;
    for (const { name, paths } of videos) {
      writeFileSync(fd, paths.map((path, frame) => `${name} ${id} ${frame} ${path} ""\n`).join(''));
      id++;
    }
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
}

/** @file Writing frame lists in the format of AVA. */
import { closeSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { frameName } from './prepared_video.js';

/** The official header, including its misspelling. */
const HEADER = 'original_vido_id video_id frame_id path labels';

/** Writes a frame list of complete videos. A reader of the file sees either the old list or the new one. */
export function writeFrameList(
  file: string,
  videos: readonly { readonly name: string; readonly frames: number }[],
): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.tmp`;
  const fd = openSync(temporary, 'w');
  try {
    writeFileSync(fd, `${HEADER}\n`);
    videos.forEach(({ name, frames }, id) => {
      const lines = Array.from(
        { length: frames },
        (_, frame) => `${name} ${id} ${frame} ${name}/${frameName(name, frame)} ""\n`,
      );
      writeFileSync(fd, lines.join(''));
    });
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
}

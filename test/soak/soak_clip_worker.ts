/** @file A worker thread that loads clips from a disk that is slow at times: as slow as a file says, in milliseconds per clip. */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { loadClip } from '../../src/data/clip/clip.js';
import { serveClips } from '../../src/data/loading/worker_loop.js';

const file = process.env.STMIXER_SOAK_SLOW as string;

function delay(): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}

serveClips(async (source, settings, augmentation) => {
  await setTimeout(delay());
  return loadClip(source, settings, augmentation);
});

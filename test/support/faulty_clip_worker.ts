/** @file A worker thread that loads clips but for some videos, by name, at which it fails in one way or another. */
import { loadClip } from '../../src/data/clip/clip.js';
import { serveClips } from '../../src/data/loading/worker_loop.js';

serveClips(async (source, settings, augmentation) => {
  const clip = await loadClip(source, settings, augmentation);
  switch (source.info.videoName) {
    case 'exits':
      process.exit(7);
      break;
    case 'throws':
      setTimeout(() => {
        throw new Error('thrown beside the clip');
      });
      break;
    case 'hangs':
      break;
    case 'grows': {
      const kept: unknown[] = [];
      for (;;) kept.push(new Array(1e6).fill(0));
    }
    case 'bug':
      throw new TypeError('a mistake of the program');
    default:
      return clip;
  }
  return new Promise(() => {});
});

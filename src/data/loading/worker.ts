/** @file Entry of a worker thread that loads clips. */
import { loadClip } from '../clip/clip.js';
import { serveClips } from './worker_loop.js';

serveClips(loadClip);

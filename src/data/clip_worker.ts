/** @file The program of a worker thread that loads clips. */
import { loadClip } from './clip.js';
import { serveClips } from './clip_server.js';

serveClips(loadClip);

/** @file What runs inside a worker thread: loads clips one at a time, keeps their pixels, writes them into batches. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { DataError } from '../../errors.js';
import type { Clip, ClipFacts, loadClip } from '../clip/clip.js';
import { writeVideo } from '../clip/clip.js';
import type { TransformSettings } from '../clip/transforms.js';
import type { ClipTask, Region } from './clip_loader.js';

/** What a thread is started with. */
export interface ThreadData {
  readonly settings: TransformSettings;
  /** One number: the ticket of the clip being loaded, or 0. It can be read when the thread is gone. */
  readonly loading: Int32Array;
}

/** Asked of a thread; `ticket` counts from 1 and names a clip from its loading to its writing. */
export type Request =
  | { readonly kind: 'load'; readonly ticket: number; readonly task: ClipTask }
  | {
      readonly kind: 'write';
      readonly ticket: number;
      readonly video: Float32Array;
      readonly region: Region;
    };

/** Answered by it. `broken`: the data is at fault, not the program. */
export type Reply =
  | { readonly kind: 'loaded'; readonly ticket: number; readonly facts: ClipFacts }
  | { readonly kind: 'failed'; readonly ticket: number; readonly message: string; readonly broken: boolean }
  | { readonly kind: 'written'; readonly ticket: number };

/** Answers the requests of the thread that started this one. */
export function serveClips(load: typeof loadClip): void {
  // Neighbouring clips share few frames, so a cache of decoded ones would only cost memory.
  sharp.cache(false);
  const port = parentPort as MessagePort;
  const { settings, loading } = workerData as ThreadData;
  const clips = new Map<number, Clip>();
  const reply = (message: Reply) => port.postMessage(message);

  const loadOne = async (ticket: number, { source, augmentation }: ClipTask) => {
    Atomics.store(loading, 0, ticket);
    try {
      const clip = await load(source, settings, augmentation);
      clips.set(ticket, clip);
      const { frames: _, colours: __, ...facts } = clip;
      reply({ kind: 'loaded', ticket, facts });
    } catch (error) {
      const broken = error instanceof DataError;
      const message = broken ? error.message : String((error as Error).stack);
      reply({ kind: 'failed', ticket, message, broken });
    }
    Atomics.store(loading, 0, 0);
  };

  let last = Promise.resolve();
  port.on('message', (request: Request) => {
    const { ticket } = request;
    if (request.kind === 'load') {
      // One at a time: a thread that dies has one clip to blame, and holds the frames of one in memory.
      last = last.then(() => loadOne(ticket, request.task));
    } else {
      const { offset, height, width } = request.region;
      writeVideo(clips.get(ticket) as Clip, request.video, offset, height, width);
      clips.delete(ticket);
      reply({ kind: 'written', ticket });
    }
  });
}

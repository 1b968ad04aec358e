/** @file The loop of a worker thread: loads clips one at a time, holds their pixels, and writes them into batches. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { DataError } from '../../errors.js';
import { type Clip, type ClipMetadata, type loadClip, type Region, writeVideo } from '../clip/clip.js';
import type { TransformSettings } from '../clip/transforms.js';
import type { ClipTask } from './clip_loader.js';

/** Data that a worker is started with. */
export interface WorkerData {
  readonly settings: TransformSettings;
  /** One number in shared memory: the ticket of the clip being loaded, or 0. It outlives the worker. */
  readonly loading: Int32Array;
}

/** A request to a worker; `ticket` counts from 1 and identifies a clip from its loading to its writing. */
export type Request =
  | { readonly kind: 'load'; readonly ticket: number; readonly task: ClipTask }
  | {
      readonly kind: 'write';
      readonly ticket: number;
      readonly video: Float32Array;
      readonly region: Region;
    };

/** A reply of a worker; `isDataError` if the data is at fault, not the program. */
export type Reply =
  | { readonly kind: 'loaded'; readonly ticket: number; readonly metadata: ClipMetadata }
  | {
      readonly kind: 'failed';
      readonly ticket: number;
      readonly message: string;
      readonly isDataError: boolean;
    }
  | { readonly kind: 'written'; readonly ticket: number };

/** Serves the requests of the thread that started this one. */
export function serveClips(load: typeof loadClip): void {
  // Neighbouring clips share few frames, so a cache of decoded frames would only cost memory.
  sharp.cache(false);
  const port = parentPort as MessagePort;
  const { settings, loading } = workerData as WorkerData;
  const clips = new Map<number, Clip>();
  const reply = (message: Reply) => port.postMessage(message);

  const loadOne = async (ticket: number, { source, augmentation }: ClipTask) => {
    Atomics.store(loading, 0, ticket);
    try {
      const clip = await load(source, settings, augmentation);
      clips.set(ticket, clip);
      const { frames: _, colours: __, ...metadata } = clip;
      reply({ kind: 'loaded', ticket, metadata });
    } catch (error) {
      const isDataError = error instanceof DataError;
      const message = isDataError ? error.message : String((error as Error).stack);
      reply({ kind: 'failed', ticket, message, isDataError });
    }
    Atomics.store(loading, 0, 0);
  };

  let last = Promise.resolve();
  port.on('message', (request: Request) => {
    const { ticket } = request;
    if (request.kind === 'load') {
      // One clip at a time: if the worker dies, one clip is to blame, and only its frames are in memory.
      last = last.then(() => loadOne(ticket, request.task));
    } else {
      writeVideo(clips.get(ticket) as Clip, request.video, request.region);
      clips.delete(ticket);
      reply({ kind: 'written', ticket });
    }
  });
}

/** @file Interface of objects that load clips, and the one that does it in the calling thread. */
import {
  type Clip,
  type ClipMetadata,
  type ClipSource,
  loadClip,
  type Region,
  writeVideo,
} from '../clip/clip.js';
import type { Augmentation, TransformSettings } from '../clip/transforms.js';

/** A clip to load. */
export interface ClipTask {
  readonly source: ClipSource;
  readonly augmentation: Augmentation;
}

/** A clip whose loader holds the pixels until they are written, once. */
export interface LoadedClip {
  readonly metadata: ClipMetadata;
  write(video: Float32Array, region: Region): Promise<void>;
}

/** Loads clips in the order of the calls. */
export interface ClipLoader {
  /** Allocates memory for at least `length` numbers that `write` can reach. */
  allocate(length: number): Float32Array;
  /** Throws DataError if the clip cannot be loaded. */
  load(task: ClipTask): Promise<LoadedClip>;
  /** Sets whether somebody waits for clips; only then do pending clips keep the process alive. */
  setAwaited(awaited: boolean): void;
  /** Stops loading; clips that are not loaded yet fail. */
  close(): Promise<void>;
}

/** Loads one clip after the other in the calling thread. */
export class LocalClipLoader implements ClipLoader {
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly settings: TransformSettings) {}

  allocate(length: number): Float32Array {
    return new Float32Array(length);
  }

  load({ source, augmentation }: ClipTask): Promise<LoadedClip> {
    const loaded = this.#last.then(async () => {
      if (this.#closed) throw new Error('the loader is closed');
      return toLoaded(await loadClip(source, this.settings, augmentation));
    });
    this.#last = loaded.catch(() => {});
    return loaded;
  }

  setAwaited(): void {}

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}

function toLoaded(clip: Clip): LoadedClip {
  return { metadata: clip, write: async (video, region) => writeVideo(clip, video, region) };
}

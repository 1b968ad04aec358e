/** @file Who loads clips: the contract, and the reader that does it in this thread. */
import { type Clip, type ClipFacts, type ClipSource, loadClip, writeVideo } from '../clip/clip.js';
import type { Augmentation, TransformSettings } from '../clip/transforms.js';

/** One clip as it is to be loaded. */
export interface ClipTask {
  readonly source: ClipSource;
  readonly augmentation: Augmentation;
}

/** Where in a batch's video the pixels of a clip belong, see `writeVideo`. */
export interface Region {
  readonly offset: number;
  readonly height: number;
  readonly width: number;
}

/** A clip whose pixels its reader keeps until they are written, once. */
export interface LoadedClip {
  readonly facts: ClipFacts;
  write(video: Float32Array, region: Region): Promise<void>;
}

/** Loads clips in the order in which it is asked. */
export interface ClipReader {
  /** Memory for at least `length` numbers that `write` can reach. */
  allocate(length: number): Float32Array;
  /** Throws DataError where a clip cannot be loaded. */
  load(task: ClipTask): Promise<LoadedClip>;
  /** Whether somebody waits for clips: only then does reading keep the process alive. */
  setAwaited(awaited: boolean): void;
  /** Ends reading; what was asked for and is not there yet fails. */
  close(): Promise<void>;
}

/** Loads one clip after the other in the thread that asks. */
export class LocalReader implements ClipReader {
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly settings: TransformSettings) {}

  allocate(length: number): Float32Array {
    return new Float32Array(length);
  }

  load({ source, augmentation }: ClipTask): Promise<LoadedClip> {
    const loaded = this.#last.then(async () => {
      if (this.#closed) throw new Error('the reader is closed');
      return local(await loadClip(source, this.settings, augmentation));
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

function local(clip: Clip): LoadedClip {
  return {
    facts: clip,
    async write(video, { offset, height, width }) {
      writeVideo(clip, video, offset, height, width);
    },
  };
}

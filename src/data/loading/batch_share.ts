/** @file How the processes of a run share the clips of each batch. */
import { hostname } from 'node:os';
import type { Communicator } from '../../distributed/communicator.js';
import { firstOf } from '../../distributed/json_values.js';
import { PeerError, UserError } from '../../errors.js';
import type { ClipMetadata } from '../clip/clip.js';

/** What all processes have to know of the clips of a batch. */
export interface BatchFacts {
  /** Size of the smallest image that holds every clip. */
  readonly height: number;
  readonly width: number;
  /** Number of boxes of each clip. */
  readonly boxCounts: Int32Array;
}

/** A clip of this process, and its place in the batch. */
interface PlacedClip {
  readonly place: number;
  readonly metadata: Pick<ClipMetadata, 'height' | 'width' | 'boxes'>;
}

export interface BatchShareOptions {
  /** Used for this alone: batches are loaded ahead, at other times in each process. */
  readonly communicator: Communicator;
  /** Used to end, when all processes do. */
  readonly lockstep: Communicator;
  /** Maximum number of clips in a batch. */
  readonly batchSize: number;
  /** A batch consists of blocks of so many clips (micro-batches), and each process has a part of every block. */
  readonly blockSize: number;
}

/** The part that one process has in every batch. */
export class BatchShare {
  /** Number of exchanges that MPI knows of. */
  #begun = 0;
  #isClosed = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: BatchShareOptions) {}

  /** The places of this process's clips in a batch of `count` clips, in order. */
  places(count: number): number[] {
    const { communicator, blockSize } = this.options;
    const { rank, size } = communicator;
    return Array.from({ length: count }, (_, place) => place).filter((place) => {
      const inBlock = place % blockSize;
      const length = Math.min(blockSize, count - (place - inBlock));
      return Math.floor((inBlock * size) / length) === rank;
    });
  }

  /**
   * Exchanges what the processes know of a batch of `count` clips, once this one has loaded its own, of which there may
   * be none. All processes must call this for every batch, in order. If one of them cannot load its clips, it throws
   * the reason, and the others throw it as PeerError. Throws CommunicationError.
   */
  exchange(count: number, loading: Promise<readonly PlacedClip[]>): Promise<BatchFacts> {
    // It may fail while earlier exchanges are under way, and is looked at only after them.
    loading.catch(() => {});
    const exchanged = this.#last.then(async () => {
      const clips = await loading.catch((error: unknown) => {
        // The loader also lets clips fail when it is closed.
        if (error instanceof UserError) return error;
        throw error;
      });
      if (this.#isClosed) throw new Error('the loader is closed');
      const facts = await this.#combine(clips);
      return { height: facts[0], width: facts[1], boxCounts: facts.slice(2, 2 + count) };
    });
    this.#last = exchanged.catch(() => {});
    return exchanged;
  }

  /** Ends the exchanges. All processes must call this. Those that have loaded less take part in what others have begun. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const begun = Int32Array.of(this.#begun);
    await this.options.lockstep.allReduce(begun, 'max');
    await this.#last;
    while (this.#begun < begun[0]) await this.#combine([]).catch(() => {});
  }

  /** Returns the facts about the clips of all processes. `own` is the reason if this process's cannot be loaded. */
  async #combine(own: readonly PlacedClip[] | UserError): Promise<Int32Array> {
    const { communicator } = this.options;
    const error = own instanceof UserError ? own : null;
    const facts = this.#facts(own instanceof UserError ? [] : own);
    facts[facts.length - 1] = error ? 1 : 0;
    this.#begun++;
    await communicator.allReduce(facts, 'max');
    if (facts[facts.length - 1] === 0) return facts;
    const message = `process ${communicator.rank} on ${hostname()}: ${error?.message}`;
    const first = await firstOf(communicator, error && { message, exitCode: error.exitCode });
    throw error ?? new PeerError(first?.message ?? '', first?.exitCode ?? 1);
  }

  /**
   * The facts in one array, and at its end whether clips cannot be loaded. A number is zero in all processes but one,
   * or its maximum is what is asked for.
   */
  #facts(clips: readonly PlacedClip[]): Int32Array {
    const facts = new Int32Array(2 + this.options.batchSize + 1);
    for (const { place, metadata } of clips) {
      facts[0] = Math.max(facts[0], metadata.height);
      facts[1] = Math.max(facts[1], metadata.width);
      facts[2 + place] = metadata.boxes.length / 4;
    }
    return facts;
  }
}

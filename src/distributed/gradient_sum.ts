/**
 * @file Sums gradients over the processes while the backward pass is still computing others.
 *
 * Gradients are grouped into buckets, because sums of few numbers cost as much as those of many. All processes begin the sums
 * in the same order: a bucket waits until its gradients are ready and all earlier buckets have begun.
 */
import type { Communicator } from './communicator.js';
import type { Reducer } from './reducer.js';

export interface GradientSumOptions<M> {
  readonly communicator: Communicator;
  /** Sums the gradients of a bucket where they are. */
  readonly reducer: Reducer<M>;
  /** Number of elements of each gradient. */
  readonly lengths: readonly number[];
  /** A bucket is full when it has at least so many bytes. */
  readonly bucketBytes: number;
}

/** Gradients that are summed together. */
interface Bucket {
  readonly members: readonly number[];
  /** Members that are not ready yet. */
  missing: number;
}

/** Sums the gradients of one step after the other. `M` is the memory that they are in. */
export class GradientSum<M = unknown> {
  readonly #options: GradientSumOptions<M>;
  #buckets: Bucket[] = [];
  #bucketOf = new Map<number, Bucket>();
  /** The gradients of this step that are ready. */
  readonly #ready = new Map<number, M>();
  /** The next bucket to begin with. */
  #next = 0;
  #isLearned = false;

  constructor(options: GradientSumOptions<M>) {
    this.#options = options;
    // The backward pass comes to the last parameters first.
    this.#group([...options.lengths.keys()].reverse());
  }

  /** Whether a gradient is in the memory that gradients are summed in. */
  accepts(gradient: unknown): gradient is M {
    return this.#options.reducer.accepts(gradient);
  }

  /** Takes the gradient of number `index` as soon as it is ready. It must not be used until `finish` resolves. */
  add(index: number, gradient: M): void {
    this.#ready.set(index, gradient);
    const bucket = this.#bucketOf.get(index) as Bucket;
    bucket.missing--;
    while (this.#buckets[this.#next]?.missing === 0) this.#begin(this.#buckets[this.#next++]);
  }

  /**
   * Takes the gradients that were not added. Resolves when whatever the engine computes from now on gets the sums. Parameters without
   * a gradient have none in any process. Throws CommunicationError.
   */
  async finish(rest: ReadonlyMap<number, M>): Promise<void> {
    const early = [...this.#ready.keys()];
    for (const [index, gradient] of rest) this.add(index, gradient);
    while (this.#next < this.#buckets.length) this.#begin(this.#buckets[this.#next++]);
    try {
      await this.#options.reducer.finish();
      if (!this.#isLearned) await this.#learnOrder(early);
    } finally {
      this.#reset();
    }
  }

  /** Resolves when all sums have been computed. Throws CommunicationError if they failed, and what was computed from them is wrong. */
  settle(): Promise<void> {
    return this.#options.reducer.settle();
  }

  /**
   * Takes over the order in which gradients became ready during the backward pass of process 0. Does nothing as long as none did
   * there, as when the engine records the pass.
   */
  async #learnOrder(early: readonly number[]): Promise<void> {
    const { communicator, lengths } = this.#options;
    const seen = new Set(early);
    const rest = [...lengths.keys()].filter((index) => !seen.has(index)).reverse();
    const order = Int32Array.from(seen.size > 0 ? [...early, ...rest] : rest.fill(-1));
    await communicator.broadcast(new Uint8Array(order.buffer), 0);
    if (order.includes(-1)) return;
    this.#group([...order]);
    this.#isLearned = true;
  }

  #group(order: readonly number[]): void {
    const { lengths, bucketBytes } = this.#options;
    this.#buckets = [];
    let members: number[] = [];
    let bytes = 0;
    for (const [i, index] of order.entries()) {
      members.push(index);
      bytes += 4 * lengths[index];
      if (bytes < bucketBytes && i < order.length - 1) continue;
      this.#buckets.push({ members, missing: members.length });
      [members, bytes] = [[], 0];
    }
    this.#bucketOf = new Map(
      this.#buckets.flatMap((bucket) => bucket.members.map((index) => [index, bucket] as const)),
    );
  }

  #begin({ members }: Bucket): void {
    const gradients = members.flatMap((index) => this.#ready.get(index) ?? []);
    if (gradients.length > 0) this.#options.reducer.begin(gradients);
  }

  #reset(): void {
    for (const bucket of this.#buckets) bucket.missing = bucket.members.length;
    this.#ready.clear();
    this.#next = 0;
  }
}

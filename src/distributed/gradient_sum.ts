/**
 * @file Sums gradients over the processes while the backward pass is still computing others.
 *
 * Gradients are grouped into buckets, because sums of few numbers cost as much as those of many. All processes begin the sums
 * in the same order: a bucket waits until its gradients are ready and all earlier buckets have begun.
 */
import type { Communicator } from './communicator.js';

/** A gradient of at least so many numbers is summed where it is; smaller ones are copied into the memory of their bucket. */
const DIRECT_LENGTH = 2 ** 16;

export interface GradientSumOptions {
  readonly communicator: Communicator;
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

/** Sums the gradients of one step after the other. */
export class GradientSum {
  readonly #options: GradientSumOptions;
  #buckets: Bucket[] = [];
  #bucketOf = new Map<number, Bucket>();
  /** The gradients of this step that are ready. */
  readonly #ready = new Map<number, Float32Array>();
  /** The next bucket to begin with. */
  #next = 0;
  #sums: Promise<void>[] = [];
  #isLearned = false;

  constructor(options: GradientSumOptions) {
    this.#options = options;
    // The backward pass comes to the last parameters first.
    this.#group([...options.lengths.keys()].reverse());
  }

  /** Takes the gradient of number `index`, which must not be used until `finish` resolves. */
  add(index: number, gradient: Float32Array): void {
    this.#ready.set(index, gradient);
    const bucket = this.#bucketOf.get(index) as Bucket;
    bucket.missing--;
    while (this.#buckets[this.#next]?.missing === 0) this.#begin(this.#buckets[this.#next++]);
  }

  /**
   * Resolves when all gradients of the step are summed. Gradients that were not added have none in any process. Throws
   * CommunicationError.
   */
  async finish(): Promise<void> {
    while (this.#next < this.#buckets.length) this.#begin(this.#buckets[this.#next++]);
    try {
      await Promise.all(this.#sums);
      if (!this.#isLearned) await this.#learnOrder();
    } finally {
      this.#reset();
    }
  }

  /** Takes over the order in which the gradients became ready in process 0, which is the order of the backward pass. */
  async #learnOrder(): Promise<void> {
    const { communicator, lengths } = this.#options;
    const seen = [...this.#ready.keys()];
    const rest = [...lengths.keys()].filter((index) => !this.#ready.has(index));
    const order = Int32Array.from([...seen, ...rest]);
    await communicator.broadcast(new Uint8Array(order.buffer), 0);
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
    const small = gradients.filter(({ length }) => length < DIRECT_LENGTH);
    for (const gradient of gradients)
      if (gradient.length >= DIRECT_LENGTH)
        this.#watch(this.#options.communicator.allReduce(gradient, 'sum'));
    if (small.length > 0) this.#watch(this.#sumTogether(small));
  }

  #watch(sum: Promise<void>): void {
    // `finish` reports the error.
    sum.catch(() => {});
    this.#sums.push(sum);
  }

  async #sumTogether(gradients: readonly Float32Array[]): Promise<void> {
    const all = new Float32Array(gradients.reduce((length, gradient) => length + gradient.length, 0));
    let offset = 0;
    for (const gradient of gradients) {
      all.set(gradient, offset);
      offset += gradient.length;
    }
    await this.#options.communicator.allReduce(all, 'sum');
    offset = 0;
    for (const gradient of gradients) {
      gradient.set(all.subarray(offset, offset + gradient.length));
      offset += gradient.length;
    }
  }

  #reset(): void {
    for (const bucket of this.#buckets) bucket.missing = bucket.members.length;
    this.#ready.clear();
    this.#sums = [];
    this.#next = 0;
  }
}

/**
 * @file Sums gradients over the processes while the backward pass is still computing others.
 *
 * Gradients are grouped into buckets, because sums of few numbers cost as much as those of many. All processes begin the sums
 * in the same order: a bucket waits until its gradients are ready and all earlier buckets have begun. The order never changes,
 * because with it sums would be rounded differently.
 */
import type { Reducer } from './reducer.js';

export interface GradientSumOptions<M> {
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
  readonly #buckets: readonly Bucket[];
  readonly #bucketOf: ReadonlyMap<number, Bucket>;
  /** The gradients of this step that are ready. */
  readonly #ready = new Map<number, M>();
  /** The next bucket to begin with. */
  #next = 0;

  constructor(options: GradientSumOptions<M>) {
    this.#options = options;
    this.#buckets = bucketsOf(options);
    this.#bucketOf = new Map(
      this.#buckets.flatMap((bucket) => bucket.members.map((index) => [index, bucket] as const)),
    );
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
   * Takes the gradients that were not added. Resolves when whatever the engine computes from now on gets the sums.
   * Parameters without a gradient have none in any process. Throws CommunicationError.
   */
  async finish(rest: ReadonlyMap<number, M>): Promise<void> {
    for (const [index, gradient] of rest) this.add(index, gradient);
    while (this.#next < this.#buckets.length) this.#begin(this.#buckets[this.#next++]);
    try {
      await this.#options.reducer.finish();
    } finally {
      this.#reset();
    }
  }

  /**
   * Resolves when all sums have been computed. Throws CommunicationError if they failed, and what was computed from
   * them is wrong.
   */
  settle(): Promise<void> {
    return this.#options.reducer.settle();
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

/** Buckets from the last parameter to the first, in which the backward pass comes to them. */
function bucketsOf({ lengths, bucketBytes }: GradientSumOptions<unknown>): Bucket[] {
  const buckets: Bucket[] = [];
  let members: number[] = [];
  let bytes = 0;
  for (let index = lengths.length - 1; index >= 0; index--) {
    members.push(index);
    bytes += 4 * lengths[index];
    if (bytes < bucketBytes && index > 0) continue;
    buckets.push({ members, missing: members.length });
    [members, bytes] = [[], 0];
  }
  return buckets;
}

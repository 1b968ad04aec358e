/** @file How gradients of several processes are summed: where they are, and by which library. */

/** Sums gradients over all processes, in place. `M` is the memory that they are in. */
export interface Reducer<M> {
  /** Whether a gradient is in such memory. */
  accepts(gradient: unknown): gradient is M;
  /** Begins the sums of a bucket, at least one gradient. All processes call this for the same buckets in the same order. */
  begin(gradients: readonly M[]): void;
  /** Resolves when whatever the engine computes from now on gets the sums begun so far. Throws CommunicationError. */
  finish(): Promise<void>;
  /** Resolves when the sums have been computed. Throws CommunicationError if they failed. */
  settle(): Promise<void>;
  /** Releases what the reducer holds. All processes must call this, unless they end with an error. */
  close(): Promise<void>;
}

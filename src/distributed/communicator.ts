/** @file Processes that work together, and what they do collectively. */
import type { NativeFloats } from '../util/native/native.js';

/** Numbers that processes can combine. */
export type Numbers = Float32Array | Float64Array | Int32Array;
export type ReduceOp = 'sum' | 'max' | 'min';

/**
 * A group of processes. All of them must call the collective operations in the same order. Arrays must not be used before the
 * promise resolves. Every operation throws CommunicationError if the other processes do not take part.
 */
export interface Communicator {
  /** Number of this process, from 0. */
  readonly rank: number;
  readonly size: number;
  /**
   * Combines the arrays of all processes, element by element. Each process gets the result, in the place of its own
   * numbers.
   */
  allReduce(numbers: Numbers | NativeFloats, op: ReduceOp): Promise<void>;
  /** Does the same, and blocks this thread until it is done. No other operation of the communicator may be under way. */
  allReduceNow(numbers: Numbers, op: ReduceOp): void;
  /** Copies the array of the process `root` into that of every other process. All have the same length. */
  broadcast(bytes: Uint8Array, root: number): Promise<void>;
  /** Returns the bytes of every process by rank, on process 0; null on the others. Lengths may differ. */
  gather(bytes: Uint8Array): Promise<Uint8Array[] | null>;
  /** Resolves when all processes have called it. */
  barrier(): Promise<void>;
}

/** A process that works alone. */
export const SINGLE_PROCESS: Communicator = {
  rank: 0,
  size: 1,
  async allReduce() {},
  allReduceNow() {},
  async broadcast() {},
  gather: async (bytes) => [bytes.slice()],
  async barrier() {},
};

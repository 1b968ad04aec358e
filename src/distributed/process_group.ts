/** @file The processes of one command, and what they tell each other outside of collective operations. */
import type { LocalPlace } from '../engine/index.js';
import type { PeerError } from '../errors.js';
import { type Communicator, SINGLE_PROCESS } from './communicator.js';

/** All processes of a command. */
export interface ProcessGroup {
  readonly rank: number;
  readonly size: number;
  readonly local: LocalPlace;
  /** One line about the group, for the log; null for a process that works alone. */
  readonly description: string | null;
  readonly communicator: Communicator;
  /** A communicator whose operations have an order of their own. All processes must call this. */
  duplicate(): Communicator;
  /** Sets the seconds after which an operation fails that other processes do not take part in; 0 = never. */
  limitWaits(seconds: number): void;
  /** Calls `listener` when another process was asked to stop, with its reason. */
  onStop(listener: (reason: string) => void): void;
  /** Calls `listener` as soon as an error has ended another process. All operations fail from then on. */
  onError(listener: (error: PeerError) => void): void;
  /** Tells the other processes that this one was asked to stop. */
  announceStop(reason: string): Promise<void>;
  /**
   * Tells the other processes about an error that ends this one, unless it came from one of them. Waits until process 0
   * has ended its work, with a checkpoint that it is writing. Resolves to whether process 0 has heard of the error.
   */
  announceError(error: unknown): Promise<boolean>;
  /** Ends MPI. All processes must call this, unless they end with an error. */
  close(): Promise<void>;
}

/** A process that works alone. */
export const ALONE: ProcessGroup = {
  rank: 0,
  size: 1,
  local: { rank: 0, size: 1, onSameCores: 1 },
  description: null,
  communicator: SINGLE_PROCESS,
  duplicate: () => SINGLE_PROCESS,
  limitWaits() {},
  onStop() {},
  onError() {},
  async announceStop() {},
  announceError: async () => false,
  async close() {},
};

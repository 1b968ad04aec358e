/** @file Interfaces through which long work reports to its caller. */

/** Receives messages, one line each. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
}

/** Receives the progress of long work. */
export interface ProgressReporter {
  /** `what` names the units that are counted; a new name begins a new count. `total` is null if it is unknown. */
  progress(done: number, total: number | null, what: string): void;
}

export interface Reporter extends Log, ProgressReporter {}

/** Ignores everything. */
export const SILENT: Reporter = { info() {}, warn() {}, progress() {} };

/** @file Hints to an engine that records work and runs it later; no other engine needs them. */
import * as tf from '@tensorflow/tfjs';

/** A backend that works ahead of itself. */
export interface RecordingBackend {
  /** Work recorded from here on runs apart from the earlier; `part` names it in measurements. */
  mark(part?: string): void;
  /** Runs everything that is recorded and still wanted, without blocking this thread. */
  finish(): Promise<void>;
}

function recordingBackend(): RecordingBackend | null {
  const backend = tf.backend() as unknown as Partial<RecordingBackend>;
  return backend.mark && backend.finish ? (backend as RecordingBackend) : null;
}

/** A place where few tensors are alive: earlier work is run, and its memory given back, before later work begins. */
export function markWork(part?: string): void {
  recordingBackend()?.mark(part);
}

/** Resolves when all work is done whose results are still wanted. */
export async function finishWork(): Promise<void> {
  await recordingBackend()?.finish();
}

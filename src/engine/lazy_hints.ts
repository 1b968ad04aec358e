/** @file Hints to an engine that records work and runs it later; no other engine needs them. */
import * as tf from '@tensorflow/tfjs';

/** A backend that works ahead of itself. */
export interface RecordingBackend {
  /** Work recorded from here on runs apart from the earlier; `part` names it in measurements. */
  mark(part?: string): void;
  /** Runs everything that is recorded and still wanted, without blocking this thread. */
  finish(): Promise<void>;
  readonly statistics: WorkStatistics;
}

/** What a recording engine did so far; differences of two readings are the cost of what lies between. */
export interface WorkStatistics {
  /** Operations recorded. */
  recorded: number;
  /** Graphs run, and operations in them. */
  graphs: number;
  nodes: number;
  /** Graphs compiled, and the time this took. */
  compiled: number;
  compileSeconds: number;
  /** Time inside compiled graphs, in all and by the part that `markWork` named. */
  runSeconds: number;
  partSeconds: Record<string, number>;
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

/** A copy of the current engine's statistics, null where it keeps none. */
export function workStatistics(): WorkStatistics | null {
  const backend = recordingBackend();
  return backend ? structuredClone(backend.statistics) : null;
}

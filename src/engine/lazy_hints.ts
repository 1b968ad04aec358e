/** @file Hints to an engine that records operations and runs them later; other engines ignore them. */
import { tf } from './tfjs.js';

/** Whether graphs must be separate, or are only better off so: an engine may join layers to have fewer graphs. */
export type BreakKind = 'required' | 'layer';

/** A tfjs backend that records operations and runs them when a value is read. */
export interface LazyBackend {
  /** Operations recorded from here on run in graphs of their own; `region` names them in the statistics. */
  graphBreak(region?: string, kind?: BreakKind): void;
  /** Runs all recorded operations whose results are still referenced, without blocking this thread. */
  sync(): Promise<void>;
  readonly statistics: LazyStatistics;
}

/** Totals since the start of the engine; the difference of two readings is the cost of the code between them. */
export interface LazyStatistics {
  /** Operations recorded. */
  recorded: number;
  /** Graphs run, and operations in them. */
  graphs: number;
  nodes: number;
  /** Graphs compiled, and the time this took. */
  compiled: number;
  compileSeconds: number;
  /** Time spent in compiled graphs, in total and for each region that `graphBreak` named. */
  runSeconds: number;
  regionSeconds: Record<string, number>;
  /** Time spent in reads after everything was run, in which a GPU may still compute. */
  readSeconds: number;
}

function lazyBackend(): LazyBackend | null {
  const backend = tf.backend() as unknown as Partial<LazyBackend>;
  return backend.graphBreak && backend.sync ? (backend as LazyBackend) : null;
}

/**
 * Separates earlier operations from later ones: they run in different graphs, and the memory of the first is released before
 * the second begin. The best place has few live tensors.
 */
export function graphBreak(region?: string, kind?: BreakKind): void {
  lazyBackend()?.graphBreak(region, kind);
}

/** Resolves when all operations have run whose results are still referenced. */
export async function sync(): Promise<void> {
  await lazyBackend()?.sync();
}

/** Returns a copy of the current engine's statistics; null if it is not lazy. */
export function lazyStatistics(): LazyStatistics | null {
  const backend = lazyBackend();
  return backend ? structuredClone(backend.statistics) : null;
}

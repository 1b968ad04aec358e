/** @file Refuses a second start with other arguments in one process, because native libraries keep those of the first. */
import { EngineError } from '../errors.js';
import { countOf } from '../util/text.js';
import type { ThreadChoice } from './threads.js';
import type { EngineName } from './types.js';

/** The engine already runs in this process with other arguments. The selection then tries no other engine. */
export class EngineInUseError extends EngineError {}

/** Throws EngineInUseError if `requested` is another number of threads than the engine runs with. */
export function refuseOtherThreads(
  engine: EngineName,
  running: ThreadChoice,
  requested: ThreadChoice | null,
): void {
  if (requested === null || requested.threads === running.threads) return;
  throw new EngineInUseError(
    `the ${engine} engine already runs with ${countOf(running.threads, 'thread')} in this process, and cannot change to ` +
      `${requested.threads} (${requested.reason}): start another process`,
  );
}

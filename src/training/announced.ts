/** @file Tells people what a run does before the first step, and how long it took. */
import type { Log } from '../util/log.js';
import { roughDuration } from '../util/text.js';

/** Seconds from which the log says how long a part of the start took. */
const LONG = 2;

/** Logs what is done, does it, and logs its duration if it was long. `doing` begins with a verb, e.g. "building the model". */
export function announced<T>(log: Log, doing: string, work: () => T): T {
  log.info(`${doing} …`);
  const begin = performance.now();
  const result = work();
  logIfLong(log, doing, begin);
  return result;
}

/** The same for asynchronous work. */
export async function announcedLater<T>(log: Log, doing: string, work: () => Promise<T>): Promise<T> {
  log.info(`${doing} …`);
  const begin = performance.now();
  const result = await work();
  logIfLong(log, doing, begin);
  return result;
}

function logIfLong(log: Log, doing: string, begin: number): void {
  const seconds = (performance.now() - begin) / 1000;
  if (seconds >= LONG) log.info(`${doing} took ${roughDuration(seconds)}`);
}

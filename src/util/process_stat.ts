/** @file Whether a process is running, and its metadata in /proc. */
import { readText } from './read_text.js';

export interface ProcessStat {
  readonly pid: number;
  /** One letter; `Z` and `X` for a process that has ended. */
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  /** Start of the process, in clock ticks since the machine started. */
  readonly began: string;
}

/** Reads the metadata of a process. Returns null if there is no such process or no /proc. Tests replace `read`. */
export function processStat(
  pid: number,
  read: (path: string) => string | null = readText,
): ProcessStat | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the program's name in brackets, which may hold anything; the state is the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent, , session] = fields;
  return { pid, state, parent: Number(parent), session: Number(session), began: fields[19] };
}

/** Whether a process with this number exists, including those of other users. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

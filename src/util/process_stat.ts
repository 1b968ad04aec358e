/** @file Whether a process runs, and facts about it that Linux keeps in /proc. */
import { readText } from './read_text.js';

export interface ProcessStat {
  readonly pid: number;
  /** One letter; `Z` and `X` for a process that has ended. */
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  /** When it began, in clock ticks from the start of the machine. */
  readonly began: string;
}

/** The facts, or null where there is no such process or no /proc. `read` returns the text of a file or null. */
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

/** Whether there is a process of this number, be it another user's. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * @file Recognises whether this process was started with SIGHUP ignored, as by nohup. A hang-up must not end it then.
 *
 * Node resets every ignored signal to its default before the first line of JavaScript, so the system cannot be asked.
 * The evidence is what nohup leaves behind, and the processes that started this one.
 */
import { basename } from 'node:path';
import { processStat } from '../../util/process_stat.js';
import { readText } from '../../util/read_text.js';

const SIGHUP_BIT = 1n;
const ACCESS_MODE = 0o3;
const WRITE_ONLY = 0o1;

/** Sources of evidence, which tests replace. */
export interface ProcessTraces {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  /** Returns the text of a file below /proc, or null if it cannot be read. */
  read(path: string): string | null;
}

const ownTraces: ProcessTraces = {
  env: process.env,
  pid: process.pid,
  read: readText,
};

/** True under nohup, in a script that ignores SIGHUP, and with STMIXER_IGNORE_SIGHUP=1. */
export function ignoresHangUp(traces: ProcessTraces = ownTraces): boolean {
  const { env } = traces;
  if (env.STMIXER_IGNORE_SIGHUP) return env.STMIXER_IGNORE_SIGHUP !== '0';
  // bash and zsh set this variable to the program that they start.
  return basename(env._ ?? '') === 'nohup' || hasInputOfNohup(traces) || isStartedByOneThatIgnores(traces);
}

/** Result at the start of this process, because its parent may end at any time. */
export const HANG_UP_IS_IGNORED = ignoresHangUp();

/** Whether standard input is a file that cannot be read, by which GNU nohup replaces a terminal. */
function hasInputOfNohup({ read }: ProcessTraces): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(read('/proc/self/fdinfo/0') ?? '')?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) === WRITE_ONLY;
}

/**
 * Whether a process above this one ignores SIGHUP, which children inherit. Looks no further than the leader of the session,
 * because a session ends with its terminal.
 */
function isStartedByOneThatIgnores({ pid, read }: ProcessTraces): boolean {
  let current = processStat(pid, read);
  while (current !== null && current.session !== current.pid) {
    const parent = processStat(current.parent, read);
    if (parent?.session !== current.session) return false;
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(read(`/proc/${parent.pid}/status`) ?? '')?.[1];
    if (ignored !== undefined && (BigInt(`0x${ignored}`) & SIGHUP_BIT) !== 0n) return true;
    current = parent;
  }
  return false;
}

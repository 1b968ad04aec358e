/**
 * @file Whether this process was started with SIGHUP ignored, as nohup does it: then a hang-up must not end it.
 *
 * Node sets every ignored signal back to its default before the first line of JavaScript, so this cannot be asked of the
 * system. Instead it is told from what nohup leaves behind and from the processes that started this one.
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
  /** A file below /proc; null where it cannot be read. */
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
  // bash and zsh put the program that they start into this variable.
  return basename(env._ ?? '') === 'nohup' || hasInputOfNohup(traces) || isStartedByOneThatIgnores(traces);
}

/** Asked at once, since whoever started this process may end before it. */
export const HANG_UP_IS_IGNORED = ignoresHangUp();

/** GNU nohup replaces a terminal at standard input by a file that cannot be read. */
function hasInputOfNohup({ read }: ProcessTraces): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(read('/proc/self/fdinfo/0') ?? '')?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) === WRITE_ONLY;
}

/**
 * Whether a process above this one ignores SIGHUP, up to the leader of the session: children inherit that. Sessions end
 * with their terminal, so what is above them does not matter.
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

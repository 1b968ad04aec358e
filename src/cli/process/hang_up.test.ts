/** @file How it is told that a process was started with SIGHUP ignored. */
import { describe, expect, it } from 'vitest';
import { ignoresHangUp, type ProcessTraces } from './hang_up.js';

const IGNORES_HANG_UP = '0000000000000001';
const IGNORES_OTHERS = '0000000001001000';

/** Processes by number: parent, session, and the signals that they ignore. */
type Processes = Record<number, [parent: number, session: number, ignored: string]>;

/** This process is number 30. */
function traces(processes: Processes, env: NodeJS.ProcessEnv = {}, inputFlags = '0100000'): ProcessTraces {
  const files = new Map([['/proc/self/fdinfo/0', `pos:\t0\nflags:\t${inputFlags}\nmnt_id:\t24\n`]]);
  for (const [pid, [parent, session, ignored]] of Object.entries(processes)) {
    files.set(`/proc/${pid}/stat`, `${pid} (a name) with ) S 9 9) S ${parent} ${pid} ${session} 0 -1`);
    files.set(`/proc/${pid}/status`, `Name:\tsh\nSigBlk:\t0000000000000000\nSigIgn:\t${ignored}\n`);
  }
  return { env, pid: 30, read: (path) => files.get(path) ?? null };
}

const plain: Processes = {
  10: [1, 10, IGNORES_OTHERS],
  20: [10, 10, IGNORES_OTHERS],
  30: [20, 10, IGNORES_OTHERS],
};

describe('a hang-up is ignored', () => {
  it.each<[string, ProcessTraces]>([
    ['under nohup, which the shell notes in the environment', traces(plain, { _: '/usr/bin/nohup' })],
    ['where nohup has replaced the terminal at standard input', traces(plain, {}, '02100001')],
    ['where the variable says so', traces(plain, { STMIXER_IGNORE_SIGHUP: '1' })],
    [
      'where the process that started this one ignores it',
      traces({ ...plain, 20: [10, 10, IGNORES_HANG_UP] }),
    ],
    ['where the leader of the session ignores it', traces({ ...plain, 10: [1, 10, IGNORES_HANG_UP] })],
  ])('%s', (_, given) => {
    expect(ignoresHangUp(given)).toBe(true);
  });
});

describe('a hang-up is not ignored', () => {
  it.each<[string, ProcessTraces]>([
    ['in a plain shell', traces(plain, { _: '/usr/bin/node' })],
    ['where the variable says so', traces(plain, { _: '/usr/bin/nohup', STMIXER_IGNORE_SIGHUP: '0' })],
    [
      'where only a process of another session ignores it',
      traces({ ...plain, 5: [1, 5, IGNORES_HANG_UP], 20: [5, 5, IGNORES_HANG_UP] }),
    ],
    [
      'by what stands above the leader of the session',
      traces({ ...plain, 5: [1, 5, IGNORES_HANG_UP], 10: [5, 10, IGNORES_OTHERS] }),
    ],
    ['where nothing is known', { env: {}, pid: 30, read: () => null }],
  ])('%s', (_, given) => {
    expect(ignoresHangUp(given)).toBe(false);
  });
});

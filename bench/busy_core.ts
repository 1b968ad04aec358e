/** @file A process that keeps one core busy while something else is measured. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Computes as long as its parent lives. */
const BUSY = 'const parent = process.ppid; for (let i = 1; i % 1e8 !== 0 || process.ppid === parent; i++);';

/** Starts a process that computes until the returned function ends it. It stays on one core if `taskset` is installed. */
export function startBusyProcess(): () => void {
  const program = [process.execPath, '-e', BUSY];
  const canPin = spawnSync('taskset', ['--version']).status === 0;
  const [file, ...words] = canPin ? ['taskset', '--cpu-list', firstAllowedCore(), ...program] : program;
  const child = spawn(file, words, { stdio: 'ignore' });
  return () => void child.kill('SIGKILL');
}

function firstAllowedCore(): string {
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1];
}

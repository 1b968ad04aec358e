/** @file A process that keeps one core busy while something else is measured. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Starts a process that computes until the returned function ends it. On Linux it stays on one core. */
export function startBusyProcess(): () => void {
  const program = [process.execPath, '-e', 'for (;;);'];
  const core = process.platform === 'linux' ? firstAllowedCore() : null;
  const [file, ...words] = core === null ? program : ['taskset', '--cpu-list', core, ...program];
  const child = spawn(file, words, { stdio: 'ignore' });
  child.on('error', (error) => {
    throw error;
  });
  const stop = () => void child.kill('SIGKILL');
  process.once('exit', stop);
  return () => {
    process.removeListener('exit', stop);
    stop();
  };
}

function firstAllowedCore(): string {
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1];
}

/** @file Runs the command line as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const launcher = fileURLToPath(new URL('launcher.js', import.meta.url));

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The process that is `stmixer <args>`; `main` is another program, in TypeScript, that does that and more. */
export function launch(args: string[], main = launcher): { program: string; words: string[] } {
  const loader = main.endsWith('.ts') ? ['--import', 'tsx'] : [];
  return { program: process.execPath, words: [...loader, main, ...args] };
}

/** Starts `stmixer <args>` in the repository's folder. */
export function start(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  main = launcher,
): { child: ChildProcess; finished: Promise<Finished> } {
  const { program, words } = launch(args, main);
  const child = spawn(program, words, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, finished };
}

export function stmixer(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return start(args, env).finished;
}

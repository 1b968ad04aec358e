/** @file Runs the command line, in a process of its own or in this one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { main } from '../../src/cli/main.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const launcher = fileURLToPath(new URL('launcher.js', import.meta.url));

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Program and arguments that run `stmixer <args>`; `file` may be another launcher, also in TypeScript. */
export function launch(args: string[], file = launcher): { program: string; words: string[] } {
  const loader = file.endsWith('.ts') ? ['--import', 'tsx'] : [];
  return { program: process.execPath, words: [...loader, file, ...args] };
}

/** Starts `stmixer <args>` in the repository's folder. */
export function start(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  file = launcher,
): { child: ChildProcess; finished: Promise<Finished> } {
  const { program, words } = launch(args, file);
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

/** Runs the command line in this process, which is faster if the test does not concern processes. */
export async function stmixerHere(args: string[]): Promise<Finished> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text;
      return true;
    }),
  );
  const exitCode = process.exitCode;
  const streams = [process.stdout, process.stderr].map(
    (stream) => [stream, stream.listeners('error')] as const,
  );
  try {
    process.exitCode = 0;
    await main(['node', 'stmixer', ...args]);
    return { code: Number(process.exitCode), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = exitCode;
    for (const [stream, listeners] of streams) {
      stream.removeAllListeners('error');
      for (const listener of listeners) stream.on('error', listener as () => void);
    }
  }
}

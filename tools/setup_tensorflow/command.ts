/** @file Runs the programs that the set-up needs. */
import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit code; null if a signal ended the program or it could not be started. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Passes standard output on to the terminal instead of collecting it. */
  show?: boolean;
}

/** Runs a program to its end; never throws. */
export function runCommand(
  program: string,
  args: string[],
  { cwd, env = process.env, show = false }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', show ? 'inherit' : 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) =>
      resolve({ code: null, signal: null, stdout, stderr: `${stderr}${error.message}` }),
    );
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Lines that mention an error, or else the last lines, indented for an error message. */
export function errorLines(text: string, count = 6): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /(^|\s)\w*error:/i.test(line));
  return (errors.length > 0 ? errors : lines)
    .slice(-count)
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n');
}

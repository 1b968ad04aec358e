/** @file One process of a run that is disturbed: what it prints, how far it is, and how it ends. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Finished, start } from '../support/cli.js';

const LAUNCHER = fileURLToPath(new URL('soak_launcher.ts', import.meta.url));

/** A run that says nothing for so long, in milliseconds, hangs. */
const PATIENCE_MS = 90_000;
const POLL_MS = 20;

export interface Ended extends Finished {
  /** What ended it, if the system did. */
  readonly signal: NodeJS.Signals | null;
}

export class SoakProcess {
  /** The last iteration that it has logged, 0 before the first. */
  iteration = 0;
  /** The longest mean wait for a batch that it has logged, in seconds. */
  longestWait = 0;
  ended: Ended | null = null;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';

  /** `slow` is the file that slows the loading of clips. */
  constructor(args: string[], slow: string) {
    const { child, finished } = start(args, { STMIXER_SOAK_SLOW: slow }, LAUNCHER);
    this.#child = child;
    child.stdout?.on('data', (chunk) => {
      this.#stdout += chunk;
      for (const [, iteration, wait] of String(chunk).matchAll(/iter (\d+)\/.* data (\S+) s/g)) {
        this.iteration = Number(iteration);
        this.longestWait = Math.max(this.longestWait, Number(wait));
      }
    });
    child.stderr?.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    finished.then((end) => {
      this.ended = { ...end, signal: child.signalCode };
    });
  }

  get output(): string {
    return this.#stdout + this.#stderr;
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Kills it unless it has ended. */
  async kill(): Promise<void> {
    this.send('SIGKILL');
    await this.end();
  }

  /** Waits until `condition` holds, the process has ended, or `limitMs` are over. */
  async until(condition: () => boolean, limitMs = Number.POSITIVE_INFINITY): Promise<void> {
    const limit = performance.now() + limitMs;
    let seen = '';
    let since = performance.now();
    while (!condition() && !this.ended && performance.now() < limit) {
      if (this.output !== seen) {
        seen = this.output;
        since = performance.now();
      }
      if (performance.now() - since > PATIENCE_MS) {
        this.send('SIGKILL');
        throw new Error(`the run has hung for ${PATIENCE_MS / 1000} s:\n${tail(this.output)}`);
      }
      await setTimeout(POLL_MS);
    }
  }

  /** Waits for so many more iterations. Throws if the process ends before. */
  async advance(iterations: number): Promise<void> {
    await this.reach(this.iteration + iterations);
  }

  async reach(iteration: number): Promise<void> {
    await this.until(() => this.iteration >= iteration);
    if (this.iteration < iteration)
      throw new Error(`before iteration ${iteration} the run ${this.#obituary()}`);
  }

  async end(): Promise<Ended> {
    await this.until(() => false);
    return this.ended as Ended;
  }

  /** Waits for its end. Throws if that is another one, or if `pattern` is not in its output. */
  async expectEnd(code: number | NodeJS.Signals, pattern: RegExp | string = ''): Promise<Ended> {
    const ended = await this.end();
    if ((ended.signal ?? ended.code) !== code)
      throw new Error(`instead of ending with ${code} the run ${this.#obituary()}`);
    this.expectOutput(pattern);
    return ended;
  }

  expectOutput(pattern: RegExp | string): void {
    const found = typeof pattern === 'string' ? this.output.includes(pattern) : pattern.test(this.output);
    if (!found) throw new Error(`not in the output: ${pattern}\n${tail(this.output)}`);
  }

  #obituary(): string {
    const { code, signal } = this.ended as Ended;
    return `ended with ${signal ?? code}:\n${tail(this.output)}`;
  }
}

function tail(text: string): string {
  return text.split('\n').slice(-25).join('\n');
}

/** @file Runs a check and prints its report; its progress goes to standard error. */

import { print } from '../../cli/process/print.js';
import type { Config } from '../../config/index.js';
import { Progress } from '../../util/progress.js';
import { type CheckProgress, checkData, hasErrors } from './check.js';
import { checkJson, checkText } from './check_report.js';

const DATA_EXIT_CODE = 3;
const DEFAULT_WIDTH = 110;

/** Returns the exit code: 3 where training or its evaluation would fail, else 0. */
export async function runCheck(
  cfg: Config,
  { deep, json }: { deep: boolean; json: boolean },
): Promise<number> {
  const progress = new CheckStatus();
  const report = await checkData(cfg, deep, progress).finally(() => progress.end());
  const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const text = json
    ? checkJson(report)
    : checkText(report, { colour, width: process.stdout.columns ?? DEFAULT_WIDTH });
  print(`${text}\n`);
  return hasErrors(report) ? DATA_EXIT_CODE : 0;
}

/** On a terminal, the part that runs and how far it is; elsewhere nothing, a check is short. */
class CheckStatus implements CheckProgress {
  #bar: Progress | null = null;
  #done = 0;
  #line = false;

  begin(what: string, total?: number): void {
    this.end();
    if (!process.stderr.isTTY) return;
    this.#done = 0;
    if (total === undefined) {
      process.stderr.write(`${what} …`);
      this.#line = true;
    } else {
      this.#bar = new Progress(total, `frames  ${what}`, process.stderr);
    }
  }

  advance(steps: number): void {
    this.#done += steps;
    this.#bar?.update(this.#done);
  }

  end(): void {
    this.#bar?.close();
    this.#bar = null;
    if (this.#line) process.stderr.write('\r\x1b[K');
    this.#line = false;
  }
}

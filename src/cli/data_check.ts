/** @file `stmixer data check`: flags and output. */
import { clearLine, cursorTo } from 'node:readline';
import type { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import type { ProgressReporter } from '../util/log.js';
import { type ConfigOptions, configCommand } from './options.js';
import { print } from './process/print.js';
import { Progress } from './progress.js';
import { showsColours } from './terminal.js';

type Flags = ConfigOptions & { deep?: boolean; json?: boolean };

const DATA_EXIT_CODE = 3;
const DEFAULT_WIDTH = 110;

export function dataCheckCommand(): Command {
  return configCommand('check')
    .description('report everything in a data set that would fail in training or evaluation')
    .option('--deep', 'decode all frames that clips use, not only a sample')
    .option('--json', 'print JSON')
    .action(async (overrides: string[], flags: Flags) => {
      const { config } = loadConfig(flags.configFile, overrides);
      const [{ checkData, hasErrors }, { checkJson, checkText }] = await Promise.all([
        import('../data_tools/check/check.js'),
        import('../data_tools/check/check_report.js'),
      ]);
      const status = new CheckStatus();
      const report = await checkData(config, { deep: flags.deep, report: status }).finally(() =>
        status.close(),
      );
      const colour = showsColours(process.stdout);
      const width = process.stdout.columns ?? DEFAULT_WIDTH;
      print(`${flags.json ? checkJson(report) : checkText(report, { colour, width })}\n`);
      if (hasErrors(report)) process.exitCode = DATA_EXIT_CODE;
    });
}

/** Shows the current step of the check on standard error, if that is a terminal. */
class CheckStatus implements ProgressReporter {
  #what = '';
  #bar: Progress | null = null;

  progress(done: number, total: number | null, what: string): void {
    if (!process.stderr.isTTY) return;
    if (what !== this.#what) this.#begin(total, what);
    this.#bar?.update(done);
  }

  close(): void {
    if (this.#what === '') return;
    this.#bar?.close();
    this.#bar = null;
    this.#what = '';
    clearLine(process.stderr, 0);
    cursorTo(process.stderr, 0);
  }

  #begin(total: number | null, what: string): void {
    this.close();
    this.#what = what;
    if (total === null) process.stderr.write(`${what} …`);
    else this.#bar = new Progress(total, `frames  ${what}`, process.stderr);
  }
}

/** @file `stmixer data check`: flags and output. */
import type { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import { type ConfigOptions, configCommand } from './options.js';
import { PartStatus } from './part_status.js';
import { print } from './process/print.js';
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
      const status = new PartStatus('frames');
      const report = await checkData(config, { deep: flags.deep, report: status }).finally(() =>
        status.close(),
      );
      const colour = showsColours(process.stdout);
      const width = process.stdout.columns ?? DEFAULT_WIDTH;
      print(`${flags.json ? checkJson(report) : checkText(report, { colour, width })}\n`);
      if (hasErrors(report)) process.exitCode = DATA_EXIT_CODE;
    });
}

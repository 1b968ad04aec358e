/** @file `stmixer test`: flags, signals and exit codes. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import type { EngineRequest } from '../engine/index.js';
import { resultsTable } from '../evaluation/results.js';
import { EVALUATION_FOLDER } from '../run/run_folder.js';
import { addEngineOptions, type ConfigOptions, configCommand } from './options.js';
import { continueWithoutOutput } from './output.js';
import { print } from './process/print.js';
import { againHint, StopSignals } from './process/signals.js';

type Flags = ConfigOptions & Pick<EngineRequest, 'engine' | 'device'>;

export function testCommand(): Command {
  return addEngineOptions(configCommand('test'))
    .description('evaluate MODEL.WEIGHT, or the last checkpoint in OUTPUT_DIR, on the test lists')
    .action(async (overrides: string[], { configFile, engine, device, verbose = false }: Flags) => {
      const loaded = loadConfig(configFile, overrides);
      continueWithoutOutput(`the results are in ${join(loaded.config.OUTPUT_DIR, EVALUATION_FOLDER)}`);
      const [{ evaluateCheckpoint }, { openConsole }] = await Promise.all([
        import('../training/evaluate_checkpoint.js'),
        import('./console.js'),
      ]);
      const stop = new StopSignals((signal) => `${signal}: ending after this batch${againHint(signal)}`);
      try {
        const { log, showEvaluation } = openConsole(verbose);
        const report = await evaluateCheckpoint(loaded, {
          engine,
          device,
          verbose,
          log,
          signal: stop.signal,
          showEvaluation,
        });
        if (report) print(`${resultsTable(report.results)}\n`);
      } finally {
        stop.close();
      }
      process.exitCode = stop.exitCode;
    });
}

/** @file `stmixer test`: flags, signals and exit codes. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { type LoadedConfig, loadConfig } from '../config/index.js';
import type { ProcessGroup } from '../distributed/process_group.js';
import type { EngineRequest } from '../engine/index.js';
import { resultsJson, resultsTable } from '../evaluation/results.js';
import type { EvaluationReport } from '../evaluation/types.js';
import { EVALUATION_FOLDER } from '../run/run_folder.js';
import { localRankOption } from './local_rank.js';
import { checkMinMap, minMapOption } from './min_map.js';
import { addEngineOptions, type ConfigOptions, configCommand, LOADING, quietOption } from './options.js';
import { continueWithoutOutput } from './output.js';
import { print } from './process/print.js';
import { shareSignals, withProcesses } from './process/processes.js';
import { againHint, StopSignals } from './process/signals.js';

type Flags = ConfigOptions &
  Pick<EngineRequest, 'engine' | 'device'> & { json?: boolean; quiet?: boolean; minMap?: number };

export function testCommand(): Command {
  return addEngineOptions(configCommand('test'))
    .description('evaluate MODEL.WEIGHT, or the last checkpoint in OUTPUT_DIR, on the test lists')
    .option('--json', 'print the results as JSON to standard output, and everything else to standard error')
    .addOption(minMapOption())
    .addOption(localRankOption())
    .addOption(quietOption())
    .action(async (overrides: string[], flags: Flags) => {
      await withProcesses(flags.verbose ?? false, async (processes) => {
        const stop = new StopSignals((signal) => `${signal}: ending after this batch${againHint(signal)}`);
        shareSignals(stop, processes);
        try {
          if (processes.rank > 0) {
            await help(processes, flags, stop.signal);
            process.exitCode = stop.exitCode;
            return;
          }
          const loaded = loadConfig(flags.configFile, overrides);
          continueWithoutOutput(`the results are in ${join(loaded.config.OUTPUT_DIR, EVALUATION_FOLDER)}`);
          const report = await evaluate(loaded, flags, { signal: stop.signal, processes });
          if (report) print(`${flags.json ? reportJson(report) : resultsTable(report.results)}\n`);
          process.exitCode = stop.exitCode || (report ? checkMinMap(report.results.mAP, flags.minMap) : 0);
        } finally {
          stop.close();
        }
      });
    });
}

async function help(
  processes: ProcessGroup,
  { engine, device, verbose }: Flags,
  signal: AbortSignal,
): Promise<void> {
  const { helpEvaluation } = await import('../training/processes/evaluation_team.js');
  await helpEvaluation({ processes, engine, device, verbose, signal });
}

async function evaluate(
  loaded: LoadedConfig,
  { engine, device, verbose = false, quiet = false, json = false }: Flags,
  { signal, processes }: { readonly signal: AbortSignal; readonly processes: ProcessGroup },
): Promise<EvaluationReport | null> {
  const { openConsole } = await import('./console.js');
  const { log, showEvaluation } = openConsole(verbose, {
    quiet,
    stream: json ? process.stderr : process.stdout,
  });
  log.logger.info(LOADING);
  const { evaluateCheckpoint } = await import('../training/evaluate_checkpoint.js');
  return await evaluateCheckpoint(loaded, {
    engine,
    device,
    verbose,
    log,
    signal,
    showEvaluation,
    processes,
  });
}

function reportJson({ results, iteration, clips, seconds, folder }: EvaluationReport): string {
  return JSON.stringify(
    { iteration, ...resultsJson(results), clips: clips.length, seconds, folder },
    null,
    2,
  );
}

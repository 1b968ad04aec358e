/** @file `stmixer train`: flags, signals and exit codes. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { type Config, type LoadedConfig, loadConfig } from '../config/index.js';
import type { ProcessGroup } from '../distributed/process_group.js';
import type { EngineRequest } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import { LOG } from '../run/run_folder.js';
import { localRankOption } from './local_rank.js';
import { endOfTraining, howToResume } from './next_commands.js';
import { addEngineOptions, type ConfigOptions, configCommand, LOADING, quietOption } from './options.js';
import { continueWithoutOutput } from './output.js';
import { wholeNumber } from './parsers.js';
import { exitAtOnce } from './process/exit.js';
import { print } from './process/print.js';
import { shareSignals, withProcesses } from './process/processes.js';
import { againHint, StopSignals } from './process/signals.js';

type Flags = ConfigOptions & {
  transfer?: boolean;
  head: boolean;
  allowPartial?: boolean;
  adjustLr?: boolean;
  resume?: boolean;
  overwrite?: boolean;
  useTfboard?: boolean;
  tfboardHistograms?: number;
  skipFinalTest?: boolean;
  skipValInTrain?: boolean;
  seed?: number;
  replay?: string;
  quiet?: boolean;
  engine: EngineRequest['engine'];
  device: EngineRequest['device'];
};

export function trainCommand(): Command {
  return addEngineOptions(configCommand('train'))
    .description('train a model')
    .option('--transfer', 'load only the weights of MODEL.WEIGHT, not its optimizer, schedule and iteration')
    .option('--no-head', 'do not load the weights of the head (stm_head.*)')
    .option(
      '--allow-partial',
      "train even if only a part of the backbone, the neck, the head or the optimizer's moments loads; the rest is initialised",
    )
    .option(
      '--adjust-lr',
      'on resuming, take the position in the schedule from the checkpoint and everything else from this configuration',
    )
    .option(
      '--resume',
      'continue from the last checkpoint in OUTPUT_DIR; if there is none, start as without this flag',
    )
    .addOption(
      new Option(
        '--overwrite',
        'start over in an OUTPUT_DIR that holds a run, and move its files into OUTPUT_DIR/previous_run_1 (2, 3, …)',
      ).conflicts('resume'),
    )
    .option(
      '--seed <number>',
      'seed of initial weights, data order, augmentation and dropout (default: 0, or the seed of the resumed run)',
      wholeNumber(),
    )
    .option(
      '--replay <file>',
      're-run the step of a batch saved as nonfinite_*.pth and show which values are not finite; changes nothing',
    )
    .option('--use-tfboard', 'write TensorBoard events into OUTPUT_DIR/tensorboard')
    .option(
      '--tfboard-histograms <iterations>',
      'with --use-tfboard: iterations between histograms of all weights',
      wholeNumber({ min: 1 }),
    )
    .option('--skip-final-test', 'do not evaluate after training')
    .option('--skip-val-in-train', 'do not evaluate during training')
    .addOption(localRankOption())
    .addOption(quietOption())
    .action(trainAction);
}

async function trainAction(overrides: string[], flags: Flags, command: Command): Promise<void> {
  await withProcesses(flags.verbose ?? false, async (processes) => {
    if (processes.rank > 0) return await runFollower(processes, flags);
    const loaded = loadConfig(flags.configFile, overrides);
    if (flags.replay !== undefined) {
      if (processes.size > 1)
        throw new ConfigError('--replay runs as one process: start it without mpirun or srun');
      process.exitCode = await runReplay(loaded.config, flags.replay, flags);
      return;
    }
    continueWithoutOutput(`the log is in ${join(loaded.config.OUTPUT_DIR, LOG)}`);
    await runTraining(loaded, flags, { command, processes });
  });
}

/** Does the steps of a training that process 0 leads. */
async function runFollower(
  processes: ProcessGroup,
  { engine, device, verbose = false }: Flags,
): Promise<void> {
  const { followTraining } = await import('../training/processes/follow.js');
  const stop = new StopSignals((signal) => `${signal}: finishing this step`);
  shareSignals(stop, processes);
  try {
    await followTraining({ processes, engine, device, verbose, signal: stop.signal });
  } finally {
    stop.close();
  }
  process.exitCode = exitCodeAfter(stop);
}

/** Slurm sends SIGUSR1 before the time limit. That is no failure: the run has saved everything. */
function exitCodeAfter(stop: StopSignals): number {
  return stop.name === 'SIGUSR1' ? 0 : stop.exitCode;
}

/** Trains until the end or the first signal, and sets the exit code of the process. */
async function runTraining(
  loaded: LoadedConfig,
  flags: Flags,
  { command, processes }: { readonly command: Command; readonly processes: ProcessGroup },
): Promise<void> {
  const { quiet = false, verbose = false } = flags;
  // Late imports make --help and errors in the configuration fast. The log comes first: the rest takes a while.
  const { openConsole } = await import('./console.js');
  const output = openConsole(verbose, { quiet });
  output.log.logger.info(LOADING);
  const { train } = await import('../training/train.js');
  const stop = new StopSignals((signal) => `${signal}: finishing this step and saving${againHint(signal)}`);
  shareSignals(stop, processes);
  try {
    const result = await train(loaded, {
      transfer: flags.transfer ?? false,
      noHead: !flags.head,
      allowPartial: flags.allowPartial ?? false,
      adjustLr: flags.adjustLr ?? false,
      resume: flags.resume ?? false,
      overwrite: flags.overwrite ?? false,
      seed: flags.seed ?? null,
      engine: flags.engine,
      device: flags.device,
      verbose,
      tensorBoard: flags.useTfboard ?? false,
      tensorBoardHistograms: flags.tfboardHistograms ?? null,
      skipFinalTest: flags.skipFinalTest ?? false,
      skipValidation: flags.skipValInTrain ?? false,
      ...output,
      signal: stop.signal,
      processes,
    });
    process.stdout.write(endOfTraining(result, loaded.config.OUTPUT_DIR, howToResume(command)));
  } finally {
    stop.close();
  }
  process.exitCode = exitCodeAfter(stop);
  if (stop.received && processes.size === 1) await exitAtOnce(process.exitCode);
}

/** Prints the replay of a saved batch; returns the exit code, 0 if all values are finite. */
async function runReplay(cfg: Config, file: string, flags: Flags): Promise<number> {
  const [{ replay }, { formatReplay }] = await Promise.all([
    import('../training/nonfinite/replay.js'),
    import('../training/nonfinite/replay_table.js'),
  ]);
  const { saved, result } = await replay(cfg, file, flags, CONSOLE);
  print(`${formatReplay(result, saved)}\n`);
  return result.nonFinite === null ? 0 : 1;
}

/** Log of a command that writes no log file. */
const CONSOLE = {
  info: (line: string) => print(`${line}\n`),
  warn: (line: string) => print(`warning: ${line}\n`),
};

/** @file `stmixer train`: its flags. */
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Config, type LoadedConfig, loadConfig } from '../config/index.js';
import type { EngineRequest } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import { LOG } from '../run/run_folder.js';
import { openConsoleLog } from './console.js';
import { addEngineOptions, type ConfigOptions, configCommand } from './options.js';
import { goOnWithoutOutput } from './output.js';
import { exitAtOnce } from './process/exit.js';
import { print } from './process/print.js';
import { onceMore, StopSignals } from './process/signals.js';

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
  engine: EngineRequest['engine'];
  device: EngineRequest['device'];
};

export function trainCommand(): Command {
  return addEngineOptions(configCommand('train'))
    .description('train a model')
    .option('--transfer', 'take only the weights from MODEL.WEIGHT: no optimizer, schedule or iteration')
    .option('--no-head', 'do not load the weights of the head (stm_head.*)')
    .option(
      '--allow-partial',
      "train also where only a part of the backbone, the neck, the head or the optimizer's moments loads; the rest starts anew",
    )
    .option(
      '--adjust-lr',
      "on resuming, take the schedule's position from the file but this configuration's settings",
    )
    .option(
      '--resume',
      "continue from OUTPUT_DIR's last checkpoint where there is one, else start as without it",
    )
    .addOption(
      new Option(
        '--overwrite',
        'start afresh in an OUTPUT_DIR that holds a run; its files are moved into OUTPUT_DIR/previous_run_1 (2, 3, …)',
      ).conflicts('resume'),
    )
    .option(
      '--seed <number>',
      'fixes initial weights, data order, augmentation and dropout (default: 0, or that of the run that is resumed)',
      parseSeed,
    )
    .option(
      '--replay <file>',
      'train nothing: compute the step of a batch that was saved because something was not finite, and show what is',
    )
    .option('--use-tfboard', 'write TensorBoard events into OUTPUT_DIR/tensorboard')
    .option(
      '--tfboard-histograms <iterations>',
      'with --use-tfboard: histograms of all weights every so many iterations',
      parsePeriod,
    )
    .option('--skip-final-test', 'no evaluation after training')
    .option('--skip-val-in-train', 'no evaluation during training')
    .addOption(
      new Option('--local_rank <number>', 'set by torch.distributed.launch; one process only').default(0),
    )
    .action(async (overrides: string[], flags: Flags) => {
      refuseSeveralProcesses();
      const loaded = loadConfig(flags.configFile, overrides);
      if (flags.replay !== undefined) {
        process.exitCode = await runReplay(loaded.config, flags.replay, flags);
        return;
      }
      goOnWithoutOutput(`the log is in ${join(loaded.config.OUTPUT_DIR, LOG)}`);
      await runTraining(loaded, flags);
    });
}

/** Trains until the end or the first signal, and sets the exit code of the process. */
async function runTraining(loaded: LoadedConfig, flags: Flags): Promise<void> {
  // Loaded late, so that --help and a wrong configuration are answered at once.
  const { train } = await import('../training/train.js');
  const stop = new StopSignals((signal) => `${signal}: finishing this step and saving${onceMore(signal)}`);
  const { log, bars } = openConsoleLog(flags.verbose ?? false);
  try {
    await train(loaded, {
      transfer: flags.transfer ?? false,
      noHead: !flags.head,
      allowPartial: flags.allowPartial ?? false,
      adjustLr: flags.adjustLr ?? false,
      resume: flags.resume ?? false,
      overwrite: flags.overwrite ?? false,
      seed: flags.seed ?? null,
      engine: flags.engine,
      device: flags.device,
      verbose: flags.verbose ?? false,
      tensorBoard: flags.useTfboard ?? false,
      tensorBoardHistograms: flags.tfboardHistograms ?? null,
      skipFinalTest: flags.skipFinalTest ?? false,
      skipValidation: flags.skipValInTrain ?? false,
      log,
      signal: stop.signal,
      hooks: bars ? [bars] : [],
      showEvaluation: bars?.evaluation.bind(bars),
    });
  } finally {
    stop.close();
  }
  // Slurm's "time is nearly up" is no failure: the run has saved all that it did.
  const exitCode = stop.name === 'SIGUSR1' ? 0 : stop.exitCode;
  if (stop.received) await exitAtOnce(exitCode);
  process.exitCode = exitCode;
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

/** A command that keeps no log. */
const CONSOLE = {
  info: (line: string) => print(`${line}\n`),
  warn: (line: string) => print(`warning: ${line}\n`),
};

function parseSeed(text: string): number {
  const seed = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(seed))
    throw new InvalidArgumentError('expected a whole number.');
  return seed;
}

function parsePeriod(text: string): number {
  const period = Number(text);
  if (!Number.isSafeInteger(period) || period < 1)
    throw new InvalidArgumentError('expected a whole number from 1.');
  return period;
}

/** A launcher that starts a process per GPU would get as many identical runs. */
function refuseSeveralProcesses(): void {
  const worldSize = process.env.WORLD_SIZE;
  if (worldSize !== undefined && Number(worldSize) !== 1) {
    throw new ConfigError(
      `WORLD_SIZE is ${worldSize}: training on several processes is not there yet, and this would be ${worldSize} ` +
        'times the same run. Start one process, without the launcher (or with --nproc_per_node=1).',
    );
  }
}

/** @file `stmixer inspect`: shows what would run, without training, and what a weight file holds. */
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/index.js';
import { printable } from '../util/text.js';
import { inspectConfig } from './inspect_config.js';
import { type ConfigOptions, configCommand } from './options.js';
import { print } from './process/print.js';

interface InspectOptions extends ConfigOptions {
  json?: boolean;
  iters?: number[];
}

export function inspectCommand(): Command {
  const inspect = new Command('inspect').description(
    'show what would run, without training, or what a weight file holds',
  );
  const add = (
    name: string,
    description: string,
    show: (options: InspectOptions, overrides: string[]) => string | Promise<string>,
  ) => {
    const command = configCommand(name)
      .description(description)
      .option('--json', 'machine-readable output')
      .action(async (overrides: string[], options: InspectOptions) => {
        print(`${(await show(options, overrides)).trimEnd()}\n`);
      });
    inspect.addCommand(command);
    return command;
  };

  add('config', 'the resolved configuration and where each value comes from', (options, overrides) =>
    inspectConfig(loadConfig(options.configFile, overrides), options.json ?? false),
  );
  add('model', 'names, shapes and number of the parameters', async (options, overrides) => {
    const { model } = await configuredModel(options, overrides);
    const { inspectModel } = await import('./inspect_model.js');
    return inspectModel(model, options.json ?? false);
  });
  add('param-groups', "the optimizer's parameter groups", async (options, overrides) => {
    const { config, model } = await configuredModel(options, overrides);
    const { inspectParamGroups } = await import('./inspect_solver.js');
    const { skipNameWarnings } = await import('../solver/skip_names.js');
    for (const warning of skipNameWarnings(config, model))
      process.stderr.write(`warning: ${printable(warning)}\n`);
    return inspectParamGroups(config, model, options.json ?? false);
  });
  add('lr-schedule', 'the learning rates of a run', async (options, overrides) => {
    const { config, model } = await configuredModel(options, overrides);
    const { inspectLrSchedule } = await import('./inspect_solver.js');
    return inspectLrSchedule(config, model, options.iters ?? null, options.json ?? false);
  }).option('--iters <list>', 'steps done before, e.g. 0,1,500 (values of last_epoch)', parseIters);
  return inspect.addCommand(checkpointCommand());
}

function checkpointCommand(): Command {
  return new Command('checkpoint')
    .description('what a weight file holds: tensors with their sums, training state, checksums')
    .argument(
      '<file>',
      'a .pth or .safetensors file, or the folder of a run: its best checkpoint, else its last',
    )
    .option('--json', 'machine-readable output')
    .option('--verbose', 'show where errors come from')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const [{ inspectCheckpoint }, { weightsToRead }] = await Promise.all([
        import('./inspect_checkpoint.js'),
        import('./weights_to_read.js'),
      ]);
      const { text, error } = inspectCheckpoint(weightsToRead(file), json ?? false);
      print(`${text}\n`);
      if (error) throw error;
    });
}

/** Loaded late: models bring the tensor library, which no other command should wait for. */
async function configuredModel({ configFile }: InspectOptions, overrides: string[]) {
  const { config } = loadConfig(configFile, overrides);
  const { Detector } = await import('../model/detector.js');
  return { config, model: new Detector(config) };
}

function parseIters(text: string): number[] {
  const iters = text.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  if (!iters.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new InvalidArgumentError('expected whole numbers separated by commas, such as 0,100,23048.');
  }
  return iters;
}

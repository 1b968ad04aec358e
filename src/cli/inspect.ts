/** @file `stmixer inspect`: shows what a training would use, and the content of a weight file. */
import { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import { printable } from '../util/text.js';
import { inspectConfig } from './inspect_config.js';
import { type ConfigOptions, configCommand } from './options.js';
import { printNote } from './output.js';
import { wholeNumbers } from './parsers.js';
import { print } from './process/print.js';

interface InspectOptions extends ConfigOptions {
  json?: boolean;
  iters?: number[];
}

export function inspectCommand(): Command {
  const inspect = new Command('inspect').description(
    'show what a training would use, or the content of a weight file',
  );
  const add = (
    name: string,
    description: string,
    show: (options: InspectOptions, overrides: string[]) => string | Promise<string>,
  ) => {
    const command = configCommand(name)
      .description(description)
      .option('--json', 'print JSON')
      .action(async (overrides: string[], options: InspectOptions) => {
        print(`${(await show(options, overrides)).trimEnd()}\n`);
      });
    inspect.addCommand(command);
    return command;
  };

  add('config', 'show the whole configuration and the origin of each value', (options, overrides) =>
    inspectConfig(loadConfig(options.configFile, overrides), options.json ?? false),
  );
  add('model', 'show the names and shapes of the parameters', async (options, overrides) => {
    const { model } = await configuredModel(options, overrides);
    const { inspectModel } = await import('./inspect_model.js');
    return inspectModel(model, options.json ?? false);
  });
  add('param-groups', "show the optimizer's parameter groups", async (options, overrides) => {
    const { config, model } = await configuredModel(options, overrides);
    const { inspectParamGroups } = await import('./inspect_solver.js');
    const { skipNameWarnings } = await import('../solver/skip_names.js');
    for (const warning of skipNameWarnings(config, model)) printNote(`warning: ${printable(warning)}`);
    return inspectParamGroups(config, model, options.json ?? false);
  });
  add('lr-schedule', 'show the learning rates of a run', async (options, overrides) => {
    const { config, model } = await configuredModel(options, overrides);
    const { inspectLrSchedule } = await import('./inspect_solver.js');
    return inspectLrSchedule(config, model, options.iters ?? null, options.json ?? false);
  }).option('--iters <list>', 'iterations done, e.g. 0,1,500 (values of last_epoch)', wholeNumbers);
  return inspect.addCommand(checkpointCommand());
}

function checkpointCommand(): Command {
  return new Command('checkpoint')
    .description('show the content of a weight file: tensors with their sums, training state, checksums')
    .argument(
      '<file>',
      'a weight file of any format, or the folder of a run (its best checkpoint, else its last)',
    )
    .option('--json', 'print JSON')
    .option('--verbose', 'print the stack trace of an error')
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

/** Builds the model. Imports it late, because it loads the tensor library, which other commands need not wait for. */
async function configuredModel({ configFile }: InspectOptions, overrides: string[]) {
  const { config } = loadConfig(configFile, overrides);
  const { Detector } = await import('../model/detector.js');
  return { config, model: new Detector(config) };
}

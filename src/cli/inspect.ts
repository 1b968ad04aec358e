/** @file `stmixer inspect`: shows what would run, without training. */
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/index.js';
import { Detector } from '../model/detector.js';
import { inspectConfig } from './inspect_config.js';
import { inspectModel } from './inspect_model.js';
import { inspectLrSchedule, inspectParamGroups } from './inspect_solver.js';
import { type ConfigOptions, configCommand } from './options.js';

interface InspectOptions extends ConfigOptions {
  json?: boolean;
  iters?: number[];
}

export function inspectCommand(): Command {
  const inspect = new Command('inspect').description('show what would run, without training');
  const add = (
    name: string,
    description: string,
    show: (options: InspectOptions, overrides: string[]) => string,
  ) => {
    const command = configCommand(name)
      .description(description)
      .option('--json', 'machine-readable output')
      .action((overrides: string[], options: InspectOptions) => {
        process.stdout.write(`${show(options, overrides).trimEnd()}\n`);
      });
    inspect.addCommand(command);
    return command;
  };

  add('config', 'the resolved configuration and where each value comes from', (options, overrides) =>
    inspectConfig(loadConfig(options.configFile, overrides), options.json ?? false),
  );
  add('model', 'names, shapes and number of the parameters', (options, overrides) => {
    const { config } = loadConfig(options.configFile, overrides);
    return inspectModel(new Detector(config), options.json ?? false);
  });
  add('param-groups', "the optimizer's parameter groups", (options, overrides) => {
    const { config } = loadConfig(options.configFile, overrides);
    return inspectParamGroups(config, new Detector(config), options.json ?? false);
  });
  add('lr-schedule', 'the learning rates of a run', (options, overrides) => {
    const { config } = loadConfig(options.configFile, overrides);
    return inspectLrSchedule(config, new Detector(config), options.iters ?? null, options.json ?? false);
  }).option('--iters <list>', 'steps done before, e.g. 0,1,500 (values of last_epoch)', parseIters);
  return inspect;
}

function parseIters(text: string): number[] {
  const iters = text.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  if (!iters.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new InvalidArgumentError('expected whole numbers separated by commas, such as 0,100,23048.');
  }
  return iters;
}

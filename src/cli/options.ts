/** @file Options that several commands share: the configuration file, `KEY VALUE …` arguments, engine and device. */
import { Command, Option } from 'commander';
import { packageVersion } from '../util/package_version.js';

export interface ConfigOptions {
  configFile: string;
  verbose?: boolean;
}

/** Creates a command that takes `--config-file F [KEY VALUE …]`. */
export function configCommand(name: string): Command {
  return new Command(name)
    .argument(
      '[overrides...]',
      'KEY VALUE pairs that override the file, e.g. SOLVER.BASE_LR 2e-5 MODEL.WEIGHT w.pth',
    )
    .requiredOption('--config-file <file>', 'YAML file with the configuration')
    .option('--verbose', 'print more details, and the stack trace of an error');
}

/** The first line of a command that computes: it appears before the parts of the program that take long to load. */
export const LOADING = `stmixer ${packageVersion()}: loading the program …`;

/** `--quiet`. */
export function quietOption(): Option {
  return new Option('--quiet', 'print only warnings, errors and the final result').conflicts('verbose');
}

/** Adds `--engine` and `--device`. */
export function addEngineOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--engine <name>', 'engine that computes')
        .choices(['auto', 'onnx', 'tensorflow', 'cpu'])
        .default('auto'),
    )
    .addOption(
      new Option('--device <name>', 'device to run on').choices(['auto', 'cpu', 'cuda']).default('auto'),
    );
}

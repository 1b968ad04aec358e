/** @file Options that several commands share: the configuration file, `KEY VALUE …` arguments, engine and device. */
import { Command, Option } from 'commander';
import { packageVersion } from '../util/package_version.js';

export interface ConfigOptions {
  configFile: string;
  verbose?: boolean;
}

const CONFIG_FILE = ['--config-file <file>', 'YAML file with the configuration'] as const;

/** Creates a command that takes `--config-file F [KEY VALUE …]`. */
export function configCommand(name: string): Command {
  return withVerbose(withOverrides(name).requiredOption(...CONFIG_FILE));
}

/** Creates a command that takes `[--config-file F] [KEY VALUE …]`. */
export function optionalConfigCommand(name: string): Command {
  return withVerbose(withOverrides(name).option(...CONFIG_FILE));
}

function withOverrides(name: string): Command {
  return new Command(name).argument(
    '[overrides...]',
    'KEY VALUE pairs that override the file, e.g. SOLVER.BASE_LR 2e-5 MODEL.WEIGHT w.pth',
  );
}

function withVerbose(command: Command): Command {
  return command.option('--verbose', 'print more details, and the stack trace of an error');
}

/** Flag and description of `--font`. */
export const FONT_OPTION = [
  '--font <file>',
  'font for names in scripts that the built-in fonts lack (.ttf, .otf, .ttc or .woff)',
] as const;

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
        .choices(['auto', 'cuda', 'onnx', 'tensorflow', 'cpu'])
        .default('auto'),
    )
    .addOption(
      new Option('--device <name>', 'device to run on')
        .choices(['auto', 'cpu', 'gpu', 'cuda'])
        .default('auto'),
    );
}

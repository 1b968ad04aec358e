/** @file What several commands share: the configuration file and the trailing `KEY VALUE …` words. */
import { Command, InvalidArgumentError, Option } from 'commander';

export interface ConfigOptions {
  configFile: string;
  verbose?: boolean;
}

/** A command that takes `--config-file F [KEY VALUE …]`. */
export function configCommand(name: string): Command {
  return new Command(name)
    .argument(
      '[overrides...]',
      'settings that win over the file, e.g. SOLVER.BASE_LR 2e-5 MODEL.WEIGHT w.pth',
    )
    .requiredOption('--config-file <file>', 'the YAML configuration')
    .option('--verbose', 'show more, and where errors come from');
}

/** `--engine` and `--device`. */
export function addEngineOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--engine <name>', 'what runs the tensors')
        .choices(['auto', 'onnx', 'tensorflow', 'cpu'])
        .default('auto'),
    )
    .addOption(new Option('--device <name>', 'where').choices(['auto', 'cpu', 'cuda']).default('auto'));
}

/** The value of an option that takes any number, also a negative one. */
export function finiteNumber(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}

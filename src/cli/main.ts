/** @file The command line: its commands, and the handling of their errors. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../util/package_version.js';
import { convertCommand } from './convert.js';
import { dataCommand } from './data.js';
import { detectCommand } from './detect.js';
import { doctorCommand } from './doctor.js';
import { reportError } from './errors.js';
import { evaluateCommand } from './evaluate.js';
import { inspectCommand } from './inspect.js';
import { watchOutput } from './output.js';
import { HANG_UP_IS_IGNORED } from './process/hang_up.js';
import { holdSignals } from './process/held_signals.js';
import { reportCommand } from './report.js';
import { everyCommand, suggestOnErrors } from './suggestions.js';
import { testCommand } from './test.js';
import { trainCommand } from './train.js';

const USAGE_ERROR = 2;

/** Runs `stmixer <argv…>` and sets the exit code of the process; never throws. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('stmixer')
    .description('Train STMixer, a one-stage spatio-temporal action detector (ViT backbone, AVA data).')
    .version(packageVersion())
    .showHelpAfterError('(stmixer --help lists the commands)')
    .addCommand(trainCommand())
    .addCommand(testCommand())
    .addCommand(evaluateCommand())
    .addCommand(detectCommand())
    .addCommand(dataCommand())
    .addCommand(inspectCommand())
    .addCommand(convertCommand())
    .addCommand(reportCommand())
    .addCommand(doctorCommand());
  for (const command of everyCommand(program)) command.exitOverride();
  suggestOnErrors(program);
  watchOutput();
  holdSignals();
  if (HANG_UP_IS_IGNORED) process.on('SIGHUP', () => {});
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
    else process.exitCode = reportError(error, argv.includes('--verbose'));
  }
}

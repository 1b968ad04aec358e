/** @file The command line: its commands, and the handling of their errors. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../util/package_version.js';
import { allCommands } from './commands.js';
import { reportError } from './errors.js';
import { watchOutput } from './output.js';
import { HANG_UP_IS_IGNORED } from './process/hang_up.js';
import { holdSignals } from './process/held_signals.js';
import { everyCommand, suggestOnErrors } from './suggestions.js';

const USAGE_ERROR = 2;

/** Runs `stmixer <argv…>` and sets the exit code of the process; never throws. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('stmixer')
    .description('Train STMixer, a one-stage spatio-temporal action detector (ViT backbone, AVA data).')
    .version(packageVersion())
    .showHelpAfterError('(stmixer --help lists the commands)');
  for (const command of allCommands()) program.addCommand(command);
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

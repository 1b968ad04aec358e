/** @file `stmixer completion`: a script that completes commands, flags and settings in a shell. */
import { Argument, Command } from 'commander';
import { print } from './process/print.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that completes commands, flags and settings in a shell')
    .addArgument(new Argument('<shell>', 'shell that runs the script').choices(SHELLS))
    .option('--verbose', 'print the stack trace of an error')
    .action(async (shell: Shell, _flags: object, command: Command) => {
      // Late imports keep every other command fast.
      const [{ bashScript }, { zshScript }, { fishScript }, { describeAll }, { FIELDS }] = await Promise.all([
        import('./completion/bash.js'),
        import('./completion/zsh.js'),
        import('./completion/fish.js'),
        import('./completion/describe.js'),
        import('../config/schema/index.js'),
      ]);
      const program = command.parent!;
      const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
      print(script(program.name(), describeAll(program), [...FIELDS.keys()]));
    });
}

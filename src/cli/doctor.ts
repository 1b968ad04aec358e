/** @file `stmixer doctor`: what this machine has for training, and which limits hold. */
import { Command } from 'commander';
import { print } from './process/print.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'show what this machine has for training: engine, threads, memory, limits and where they come from',
    )
    .option('--json', 'machine-readable output')
    .option('--verbose', 'show where errors come from')
    .action(async ({ json }: { json?: boolean }) => {
      // Loaded late, so that --help is answered at once.
      const { machineReport } = await import('../engine/machine_report.js');
      const facts = await machineReport();
      const lines = facts.map(
        ({ name, text, failed }) => `${name.padEnd(14)} ${failed ? 'FAILED: ' : ''}${text}`,
      );
      print(`${json ? JSON.stringify(facts, null, 2) : lines.join('\n')}\n`);
      if (facts.some(({ failed }) => failed)) process.exitCode = 1;
    });
}

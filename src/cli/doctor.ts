/** @file `stmixer doctor`: engine, threads, memory and limits of this machine. */
import { Command } from 'commander';
import { print } from './process/print.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'show the engine, threads and memory that a training would use, and the limits of this machine',
    )
    .option('--json', 'print JSON')
    .option('--verbose', 'print the stack trace of an error')
    .action(async ({ json }: { json?: boolean }) => {
      // A late import makes --help fast.
      const { machineReport } = await import('../engine/machine_report.js');
      const entries = await machineReport();
      const lines = entries.map(
        ({ name, text, failed }) => `${name.padEnd(14)} ${failed ? 'FAILED: ' : ''}${text}`,
      );
      print(`${json ? JSON.stringify(entries, null, 2) : lines.join('\n')}\n`);
      if (entries.some(({ failed }) => failed)) process.exitCode = 1;
    });
}

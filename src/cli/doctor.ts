/** @file `stmixer doctor`: everything about this machine that a bug report needs. */
import { Command } from 'commander';
import type { MachineFact } from '../engine/machine_report.js';
import { print } from './process/print.js';
import { showsChanges, showsColours } from './terminal.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'show versions, engines, threads, memory and limits of this machine, to paste into a bug report; names of users, ' +
        'machines and home folders are left out',
    )
    .option('--json', 'print JSON')
    .option('--verbose', 'print the stack trace of an error')
    .action(async ({ json }: { json?: boolean }) => {
      // A late import makes --help fast.
      const { machineReport } = await import('../engine/machine_report.js');
      const entries = [...(await machineReport()), terminal()];
      const width = Math.max(...entries.map(({ name }) => name.length));
      const lines = entries.map(
        ({ name, text, failed }) => `${name.padEnd(width)}  ${failed ? 'FAILED: ' : ''}${text}`,
      );
      const facts = entries.map(({ name, ...fact }) => ({ name: name.trim(), ...fact }));
      print(`${json ? JSON.stringify(facts, null, 2) : lines.join('\n')}\n`);
      if (entries.some(({ failed }) => failed)) process.exitCode = 1;
    });
}

function terminal(): MachineFact {
  const { TERM = 'not set' } = process.env;
  const { stdout } = process;
  const kind = stdout.isTTY ? `a terminal of ${stdout.columns} columns` : 'no terminal';
  const can = [
    showsColours(stdout) ? 'colours' : 'no colours',
    showsChanges(stdout) ? 'progress bars' : 'no progress bars',
  ];
  return { name: 'terminal', text: `${kind}, TERM ${TERM}, ${can.join(', ')}`, failed: false };
}

/**
 * @file Compares training steps with the official code under PyTorch on this machine, and prints a Markdown table.
 *
 *   npm run bench:compare -- --checkout DIR [--python FILE] [--rounds N] [--only full,small,sample,forward]
 *                            [--busy] [--json]
 *
 * DIR is a clone of the official STMixer repository. The programs run one at a time, in turns: stmixer, PyTorch with tuned
 * malloc, PyTorch with malloc as it comes. `--busy` also times stmixer while another process keeps one core busy.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { CASES, type Case } from './cases.js';
import { busyTable, comparisonTable, type Measurement } from './comparison_table.js';
import { describeMachine } from './describe_machine.js';
import { measure, type Official, PROGRAMS } from './programs.js';

interface Flags {
  checkout: string;
  python: string;
  rounds?: number;
  only: readonly Case[];
  busy?: boolean;
  json?: boolean;
}

const command = new Command('bench:compare')
  .requiredOption('--checkout <folder>', 'clone of the official STMixer repository')
  .option('--python <file>', 'Python with torch and numpy', process.env.STMIXER_PYTHON ?? 'python3')
  .option('--rounds <n>', 'runs of each program; by default 1 or 2, by the size of the case', Number)
  .option('--only <names>', `some of ${CASES.map(({ name }) => name).join()}`, chooseCases, CASES)
  .option('--busy', 'time stmixer while another process keeps one core busy, too')
  .option('--json', 'print all measurements instead of tables')
  .parse();
const flags = command.opts<Flags>();
const official = { checkout: resolve(flags.checkout), python: flags.python };
if (!existsSync(join(official.checkout, 'alphaction'))) {
  command.error(
    `${flags.checkout} is no clone of the official STMixer repository: it has no folder alphaction`,
  );
}
const machine = describeMachine();
const measurements: Measurement[] = [];
for (const what of flags.only) {
  for (let round = 1; round <= (flags.rounds ?? what.rounds); round++) {
    await runRound(what, round, official);
  }
}
if (flags.json) {
  console.log(JSON.stringify({ machine, measurements }));
} else {
  const engines = new Set(measurements.map(({ report }) => report.engine));
  console.log(`${[machine, ...engines].join('; ')}\n\n${comparisonTable(flags.only, measurements)}`);
  if (flags.busy) console.log(`\n${busyTable(flags.only, measurements)}`);
}

function chooseCases(names: string): Case[] {
  return names.split(',').map((name) => {
    const found = CASES.find((what) => what.name === name);
    if (!found) throw new InvalidArgumentError(`There is no case ${name}.`);
    return found;
  });
}

/** Runs each program once. A program that fails is reported and left out of the tables. */
async function runRound(what: Case, round: number, where: Official): Promise<void> {
  for (const program of PROGRAMS) {
    if (program === 'stmixer, one core busy' && !flags.busy) continue;
    const label = `${what.name}, round ${round}, ${program}`;
    try {
      const report = await measure(program, what, where);
      measurements.push({ case: what.name, program, round, report });
      console.error(`${label}: ${report.seconds.map((seconds) => seconds.toFixed(2)).join(', ')} s`);
    } catch (error) {
      process.exitCode = 1;
      console.error(`${label} failed: ${(error as Error).message}`);
    }
  }
  checkSameModel(what);
}

/** Reports models of different sizes: their times could not be compared. */
function checkSameModel(what: Case): void {
  const sizes = new Set(measurements.filter((m) => m.case === what.name).map((m) => m.report.parameters));
  if (sizes.size <= 1) return;
  process.exitCode = 1;
  console.error(`${what.name}: the programs ran models of ${[...sizes].join(' and ')} parameters`);
}

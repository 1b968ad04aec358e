/** @file `stmixer engine`: lists the engines of this machine, and checks one. */
import { styleText } from 'node:util';
import { Command } from 'commander';
import type { EngineRequest } from '../engine/index.js';
import type { CheckPart } from '../engine_check/check.js';
import { addEngineOptions } from './options.js';
import { PartStatus } from './part_status.js';
import { print } from './process/print.js';
import { showsColours } from './terminal.js';

export function engineCommand(): Command {
  return new Command('engine')
    .description('list the engines of this machine, and check that one computes correctly')
    .addCommand(listCommand())
    .addCommand(checkCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('show what each engine is, whether it can run here, and which one auto tries first')
    .option('--json', 'print JSON')
    .option('--verbose', 'print the stack trace of an error')
    .action(async ({ json }: { json?: boolean }) => {
      // A late import makes --help fast.
      const { engineListText, listEngines } = await import('../engine_check/engine_list.js');
      const engines = listEngines();
      print(`${json ? JSON.stringify(engines, null, 2) : engineListText(engines, mark)}\n`);
    });
}

interface CheckFlags {
  engine: EngineRequest['engine'];
  device: EngineRequest['device'];
  json?: boolean;
  verbose?: boolean;
}

function checkCommand(): Command {
  return addEngineOptions(new Command('check'))
    .description(
      'compare every kind of operation and a training step with reference values, and measure speed and memory',
    )
    .option('--json', 'print JSON')
    .option('--verbose', 'print more details, and the stack trace of an error')
    .action(runCheck);
}

/** Prints what is found as it is found; sets the exit code to 1 if something differs. */
async function runCheck({ engine: name, device, json, verbose }: CheckFlags): Promise<void> {
  // Late imports make --help fast.
  const [{ selectEngine }, { checkEngine }, { checkReportJson, partText, summaryText }] = await Promise.all([
    import('../engine/index.js'),
    import('../engine_check/check.js'),
    import('../engine_check/report.js'),
  ]);
  const engine = await selectEngine({ engine: name, device, verbose });
  const show = (text: string) => {
    if (!json) print(`${text}\n`);
  };
  show(`${engine.description}\n`);
  const status = new PartStatus('');
  const listener = {
    begin: (what: string) => status.progress(0, null, what),
    end: (part: CheckPart) => {
      status.close();
      show(partText(part, mark));
    },
  };
  const report = await checkEngine(engine, listener).finally(() => status.close());
  show(summaryText(report, mark));
  if (json) print(`${checkReportJson(report)}\n`);
  if (report.failures.length > 0) process.exitCode = 1;
}

/** A check mark or a cross, coloured where standard output shows colours. */
function mark(isGood: boolean): string {
  const sign = isGood ? '✓' : '✗';
  return showsColours(process.stdout)
    ? styleText(isGood ? 'green' : 'red', sign, { validateStream: false })
    : sign;
}

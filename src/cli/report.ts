/** @file `stmixer report`: flags and output. */
import { Command, Option } from 'commander';
import { FONT_OPTION } from './options.js';
import { continueWithoutOutput, printNote } from './output.js';
import { wholeNumber } from './parsers.js';
import { print } from './process/print.js';
import { StopSignals } from './process/signals.js';
import { endingOnSignals } from './signals.js';

interface Flags {
  out?: string;
  watch?: boolean;
  port?: number;
  font?: string;
}

export function reportCommand(): Command {
  return new Command('report')
    .description('write a run as an HTML page, compare runs on one page, or serve a run while it trains')
    .argument('<output-dir...>', 'OUTPUT_DIR of the run; several are compared')
    .addOption(
      new Option(
        '--out <file>',
        'the HTML file to write, with a folder of curves beside it (default: report/index.html in OUTPUT_DIR; for several runs, report/comparison.html in the first one)',
      ).conflicts(['watch', 'port']),
    )
    .option('--watch', 'serve the page on this machine and keep it up to date; write no files')
    .option(
      '--port <number>',
      'port for --watch (default: any free port)',
      wholeNumber({ min: 1, max: 65535 }),
    )
    .option(...FONT_OPTION)
    .option('--verbose', 'print the stack trace of an error')
    .action(async (outputDirs: string[], flags: Flags, command: Command) => {
      if (flags.port !== undefined && !flags.watch) command.error('error: --port needs --watch');
      if (!flags.watch) await write(outputDirs, flags);
      else if (outputDirs.length === 1) await watch(outputDirs[0], flags);
      else command.error('error: --watch serves one run; without it, several runs are compared');
    });
}

async function write(outputDirs: readonly string[], { out, font }: Flags): Promise<void> {
  // A late import makes --help fast.
  const { writeComparison, writeReport } = await import('../report/write.js');
  const options = { html: out, font, wait: printNote, warn: (text: string) => printNote(`warning: ${text}`) };
  await endingOnSignals(async () => {
    if (outputDirs.length > 1) {
      print(`${await writeComparison(outputDirs, options)}: the comparison of ${outputDirs.length} runs\n`);
      return;
    }
    const { html, folder, curves } = await writeReport(outputDirs[0], options);
    print(`${html}: the report, and ${curves.size} curves as SVG and PNG in ${folder}\n`);
  });
}

/** Serves the report until a signal arrives. */
async function watch(outputDir: string, { port = 0, font }: Flags): Promise<void> {
  continueWithoutOutput('the report is served until a signal ends it');
  const { watchRun } = await import('../report/watch.js');
  const signals = new StopSignals((name) => name);
  try {
    const onListening = (url: string) =>
      void process.stdout.write(`${outputDir}: watching at ${url} (Ctrl-C ends it)\n`);
    await watchRun(outputDir, { port, font, signal: signals.signal, onListening, note: printNote });
    process.exitCode = signals.exitCode;
  } finally {
    signals.close();
  }
}

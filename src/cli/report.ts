/** @file `stmixer report`: flags and output. */
import { Command, Option } from 'commander';
import { continueWithoutOutput, printNote } from './output.js';
import { wholeNumber } from './parsers.js';
import { print } from './process/print.js';
import { StopSignals } from './process/signals.js';
import { endingOnSignals } from './signals.js';

interface Flags {
  out?: string;
  watch?: boolean;
  port?: number;
}

export function reportCommand(): Command {
  return new Command('report')
    .description('write a run as an HTML page, or serve that page while the run trains')
    .argument('<output-dir>', 'OUTPUT_DIR of the run')
    .addOption(
      new Option(
        '--out <file>',
        'the HTML file to write, with a folder of curves beside it (default: OUTPUT_DIR/report/index.html)',
      ).conflicts(['watch', 'port']),
    )
    .option('--watch', 'serve the page on this machine and keep it up to date; write no files')
    .option(
      '--port <number>',
      'port for --watch (default: any free port)',
      wholeNumber({ min: 1, max: 65535 }),
    )
    .option('--verbose', 'print the stack trace of an error')
    .action(async (outputDir: string, flags: Flags, command: Command) => {
      const { out, port } = flags;
      if (port !== undefined && !flags.watch) command.error('error: --port needs --watch');
      if (flags.watch) {
        await watch(outputDir, port ?? 0);
        return;
      }
      // A late import makes --help fast.
      const { writeReport } = await import('../report/write.js');
      const { html, folder, curves } = await endingOnSignals(() =>
        writeReport(outputDir, { html: out, wait: printNote }),
      );
      print(`${html}: the report, and ${curves.size} curves as SVG and PNG in ${folder}\n`);
    });
}

/** Serves the report until a signal arrives. */
async function watch(outputDir: string, port: number): Promise<void> {
  continueWithoutOutput('the report is served until a signal ends it');
  const { watchRun } = await import('../report/watch.js');
  const signals = new StopSignals((name) => name);
  try {
    const onListening = (url: string) =>
      void process.stdout.write(`${outputDir}: watching at ${url} (Ctrl-C ends it)\n`);
    await watchRun(outputDir, { port, signal: signals.signal, onListening });
    process.exitCode = signals.exitCode;
  } finally {
    signals.close();
  }
}

/** @file `stmixer report`: its flags. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { goOnWithoutOutput } from './output.js';
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
    .description('show a run as one HTML page, or watch it while it trains')
    .argument('<output-dir>', 'the OUTPUT_DIR of the training')
    .addOption(
      new Option(
        '--out <file>',
        'file of the page, with a folder of curves beside it (default: OUTPUT_DIR/report/index.html)',
      ).conflicts(['watch', 'port']),
    )
    .option('--watch', 'serve the page to this machine and keep it up to date; writes nothing')
    .addOption(new Option('--port <number>', 'port for --watch (default: any free one)').argParser(parsePort))
    .option('--verbose', 'show where errors come from')
    .action(async (outputDir: string, flags: Flags, command: Command) => {
      const { out, port } = flags;
      if (port !== undefined && !flags.watch) command.error('error: --port needs --watch');
      if (flags.watch) {
        await watch(outputDir, port ?? 0);
        return;
      }
      // Loaded late, so that --help is answered at once.
      const { writeReport } = await import('../report/write.js');
      const { html, folder, curves } = await endingOnSignals(() => writeReport(outputDir, { html: out }));
      print(`${html}: the report, and ${curves.size} curves as SVG and PNG in ${folder}\n`);
    });
}

/** Serves the report until a signal comes. */
async function watch(outputDir: string, port: number): Promise<void> {
  goOnWithoutOutput('the report is served until a signal ends it');
  const { watchRun } = await import('../report/watch.js');
  const signals = new StopSignals((name) => name);
  try {
    const onListening = (url: string) => print(`${outputDir}: watching at ${url} (Ctrl-C ends it)\n`);
    await watchRun(outputDir, { port, signal: signals.signal, onListening });
    process.exitCode = signals.exitCode;
  } finally {
    signals.close();
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    throw new InvalidArgumentError('expected a port from 1 to 65535.');
  }
  return port;
}

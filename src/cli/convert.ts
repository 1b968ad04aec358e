/** @file `stmixer convert`: flags, and a summary of the conversion. */
import { Command, Option } from 'commander';
import type { ConvertOptions, ConvertReport } from '../checkpoint/convert.js';
import { byteSize, count, printable } from '../util/text.js';
import { printNote } from './output.js';
import { print } from './process/print.js';

export function convertCommand(): Command {
  return new Command('convert')
    .description(
      'convert a weight file to .pth or .safetensors, to another precision, or to the weights alone',
    )
    .argument('<in>', 'a weight file (the format is detected from its content), or the folder of a run')
    .argument('<out>', 'the new file; its extension, .pth or .safetensors, sets the format')
    .addOption(
      new Option('--dtype <type>', "type of the model's floating-point numbers")
        .choices(['keep', 'float32', 'float16', 'bfloat16'])
        .default('keep'),
    )
    .addOption(
      new Option(
        '--names <names>',
        'names of the tensors: keep those of the file, or use those of the official STMixer, which also splits and joins tensors to match and keeps weights only',
      )
        .choices(['keep', 'official'])
        .default('keep'),
    )
    .option(
      '--weight-key <key>',
      'which weights to take if the file holds several: the keys that lead to them, with dots between, e.g. checkpoint.teacher',
    )
    .option('--weights-only', 'leave out optimizer, schedule and everything else (always so in .safetensors)')
    .option('--verbose', 'print the stack trace of an error')
    .action(
      async (from: string, to: string, { dtype, weightsOnly, names, weightKey }: Partial<ConvertOptions>) => {
        const [{ convertWeightFile }, { weightsToRead }] = await Promise.all([
          import('../checkpoint/convert.js'),
          import('./weights_to_read.js'),
        ]);
        const source = weightsToRead(from);
        const report = await convertWeightFile(source, to, {
          dtype: dtype ?? 'keep',
          weightsOnly: weightsOnly ?? false,
          names,
          weightKey,
        });
        print(`${summaryOf(source, to, report)}\n`);
        const warning = warningOf(report);
        if (warning) printNote(warning);
        for (const text of report.warnings) printNote(`warning: ${source}: ${text}`);
      },
    );
}

/** Summary of a conversion, in a few lines. */
export function summaryOf(from: string, to: string, report: ConvertReport): string {
  const { tensors, weightBytes, fileBytes, leftOut, origin } = report;
  const change = ({ before, after }: ConvertReport['fileBytes']) =>
    `${byteSize(before)} → ${byteSize(after)}`;
  return [
    `${from} → ${to}`,
    `  tensors:   ${count(tensors)}, ${change(weightBytes)}`,
    `  file:      ${change(fileBytes)}`,
    ...(origin === null ? [] : [`  names:     changed to the official ones; the file has ${origin}`]),
    ...(leftOut.length > 0 ? [`  left out:  ${listed(leftOut, 12)}`] : []),
  ].join('\n');
}

/** Warning that names the tensors with numbers too large for the new type, or null. */
export function warningOf({ overflowed }: ConvertReport): string | null {
  if (overflowed.length === 0) return null;
  return `warning: numbers too large for the new type became infinite in ${listed(overflowed, 12)}`;
}

function listed(names: readonly string[], max: number): string {
  const rest = names.length > max ? `, … (${names.length} in all)` : '';
  return names.slice(0, max).map(printable).join(', ') + rest;
}

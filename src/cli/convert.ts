/** @file `stmixer convert`: its flags, and a summary of what became of the file. */
import { Command, Option } from 'commander';
import type { ConvertOptions, ConvertReport } from '../checkpoint/convert.js';
import { byteSize, printable } from '../util/text.js';
import { print } from './process/print.js';

export function convertCommand(): Command {
  return new Command('convert')
    .description('a weight file as .pth or .safetensors, whole or the weights alone, in another precision')
    .argument('<in>', 'the weight file (its content tells the format), or the folder of a run')
    .argument('<out>', 'the new file; its ending, .pth or .safetensors, chooses the format')
    .addOption(
      new Option('--dtype <type>', "what the model's floating point numbers become")
        .choices(['keep', 'float32', 'float16', 'bfloat16'])
        .default('keep'),
    )
    .option('--weights-only', 'leave out optimizer, schedule and everything else; .safetensors always does')
    .option('--verbose', 'show where errors come from')
    .action(async (from: string, to: string, { dtype, weightsOnly }: Partial<ConvertOptions>) => {
      const [{ convertWeightFile }, { weightsToRead }] = await Promise.all([
        import('../checkpoint/convert.js'),
        import('./weights_to_read.js'),
      ]);
      const source = weightsToRead(from);
      const report = await convertWeightFile(source, to, {
        dtype: dtype ?? 'keep',
        weightsOnly: weightsOnly ?? false,
      });
      print(`${summaryOf(source, to, report)}\n`);
      const warning = warningOf(report);
      if (warning) process.stderr.write(`${warning}\n`);
    });
}

/** A few lines about a conversion. */
export function summaryOf(from: string, to: string, report: ConvertReport): string {
  const { tensors, weightBytes, fileBytes, leftOut } = report;
  const change = ({ before, after }: ConvertReport['fileBytes']) =>
    `${byteSize(before)} → ${byteSize(after)}`;
  return [
    `${from} → ${to}`,
    `  tensors:   ${tensors.toLocaleString('en')}, ${change(weightBytes)}`,
    `  file:      ${change(fileBytes)}`,
    ...(leftOut.length > 0 ? [`  left out:  ${listed(leftOut, 12)}`] : []),
  ].join('\n');
}

/** Names the tensors whose numbers the new type cannot hold; null without any. */
export function warningOf({ overflowed }: ConvertReport): string | null {
  if (overflowed.length === 0) return null;
  return `warning: numbers too large for the new type became infinite in ${listed(overflowed, 12)}`;
}

function listed(names: readonly string[], most: number): string {
  const rest = names.length > most ? `, … (${names.length} in all)` : '';
  return names.slice(0, most).map(printable).join(', ') + rest;
}

/** @file Parameter groups in the log of a run. */
import type { Logger } from '../run/log.js';
import type { Optimizer } from '../solver/index.js';
import { significant } from '../util/text.js';

/** Logs a line that the official code prints; the long one goes to log.jsonl only, since `logGroups` sums it up. */
export function logPrintedLine(line: string, log: Logger): void {
  if (line.startsWith('Param groups')) log.debug(line);
  else log.info(line);
}

/** Logs a summary of each parameter group. */
export function logGroups({ paramGroups }: Optimizer, log: Logger): void {
  for (const { name, params, weight_decay, lr_scale } of paramGroups) {
    const count = params.reduce((sum, { parameter }) => sum + parameter.size, 0);
    const scale = lr_scale === undefined || lr_scale === null ? '' : `, lr_scale ${significant(lr_scale, 4)}`;
    log.info(
      `Param group ${name}: ${params.length} tensors, ${count.toLocaleString('en')} parameters, ` +
        `weight_decay ${weight_decay}${scale}`,
    );
  }
}

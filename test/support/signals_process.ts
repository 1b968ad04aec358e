/** @file A program that waits for a signal, says which it was, and then waits for another one. */
import { StopSignals } from '../../src/cli/process/signals.js';

new StopSignals((signal) => {
  process.stdout.write(`${signal}\n`);
  return signal;
});
setInterval(() => {}, 1000);
process.stdout.write('ready\n');

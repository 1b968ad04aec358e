/** @file The machine on which a benchmark runs. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

/** Date, processor, instruction set, memory and Node's version. */
export function describeMachine(): string {
  const features = process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const instructions = /\bavx512f\b/.test(features) ? ', AVX-512' : /\bavx2\b/.test(features) ? ', AVX2' : '';
  return [
    new Date().toISOString().slice(0, 10),
    `${availableParallelism()} cores of ${cpus()[0]?.model ?? process.arch}${instructions}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Node ${process.version}`,
  ].join(', ');
}

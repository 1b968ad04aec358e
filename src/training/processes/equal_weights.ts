/** @file Checks that all processes have the same weights. */
import { hostname } from 'node:os';
import type { Communicator } from '../../distributed/communicator.js';
import { firstOf } from '../../distributed/json_values.js';
import { CommunicationError } from '../../errors.js';
import { crc32 } from '../../formats/checksum.js';
import { type NamedState, numbersOf } from '../../nn/module.js';
import { bytesOf } from '../../util/bytes.js';

interface Difference {
  readonly rank: number;
  readonly host: string;
  readonly tensor: string;
}

/**
 * Throws CommunicationError in all processes if a weight or buffer of one differs from that of process 0. All processes must call
 * this.
 */
export async function checkEqualWeights(state: NamedState, communicator: Communicator): Promise<void> {
  const names: string[] = [];
  const sums: number[] = [];
  for (const [name, entry] of state) {
    names.push(name);
    sums.push(crc32(bytesOf(await numbersOf(entry))));
  }
  const expected = Int32Array.from(sums);
  await communicator.broadcast(bytesOf(expected), 0);
  const other = Int32Array.from(sums).findIndex((sum, i) => sum !== expected[i]);
  const own: Difference | null =
    other < 0 ? null : { rank: communicator.rank, host: hostname(), tensor: names[other] };
  const found = await firstOf(communicator, own);
  if (found === null) return;
  throw new CommunicationError(
    `process ${found.rank} on ${found.host} has other weights than process 0 (${found.tensor}), although all processes apply the ` +
      'same updates: a fault of its memory or GPU, or of MPI. Leave that machine out, and continue from the last checkpoint with ' +
      '--resume',
  );
}

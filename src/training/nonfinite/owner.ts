/** @file The batch of the process whose values are not finite. */
import { deserialize, serialize } from 'node:v8';
import type { Batch } from '../../data/loading/collate.js';
import type { Communicator } from '../../distributed/communicator.js';
import type { NonFinite } from './nonfinite.js';

/**
 * Returns the part of the batch that belongs to the owner of `details`, on process 0, which may be `own`. Returns null
 * on the other processes, and if no process has values that are not finite. All processes must call this.
 */
export async function batchOfOwner(
  { owner }: NonFinite,
  own: Batch,
  communicator: Communicator | undefined,
): Promise<Batch | null> {
  if (!communicator) return own;
  const isLeader = communicator.rank === 0;
  if (!owner) return null;
  if (owner.rank === 0) return isLeader ? own : null;
  const sent = owner.rank === communicator.rank ? serialize(own) : new Uint8Array();
  const all = await communicator.gather(sent);
  return all && (deserialize(all[owner.rank]) as Batch);
}

/** @file Values of processes, sent as JSON. */
import type { Communicator } from './communicator.js';

/**
 * Returns the value of the lowest process whose value is not null, on all processes; null if all are null. All
 * processes must call this.
 */
export async function firstOf<T>(communicator: Communicator, value: T | null): Promise<T | null> {
  const { rank, size } = communicator;
  const first = Int32Array.of(value === null ? size : rank);
  await communicator.allReduce(first, 'min');
  const [root] = first;
  return root === size ? null : await broadcastJson(communicator, value, root);
}

/** Returns the value of the process `root`. All processes must call this. */
export async function broadcastJson<T>(communicator: Communicator, value: T | null, root = 0): Promise<T> {
  const isRoot = communicator.rank === root;
  const text = isRoot ? encode(value) : new Uint8Array();
  const length = new Uint8Array(Int32Array.of(text.length).buffer);
  await communicator.broadcast(length, root);
  const bytes = isRoot ? text : new Uint8Array(new Int32Array(length.buffer)[0]);
  await communicator.broadcast(bytes, root);
  return isRoot ? (value as T) : decode(bytes);
}

/** Returns the values of all processes by rank, on process 0; null on the others. All processes must call this. */
export async function gatherJson<T>(communicator: Communicator, value: T): Promise<T[] | null> {
  const all = await communicator.gather(encode(value));
  return all?.map((bytes) => decode<T>(bytes)) ?? null;
}

/** The same, on all processes. */
export async function allGatherJson<T>(communicator: Communicator, value: T): Promise<T[]> {
  return await broadcastJson(communicator, await gatherJson(communicator, value));
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function decode<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T;
}

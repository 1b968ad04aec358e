/** @file Places what lives inside a program in one workspace, so that only tensors that are never needed together overlap. */

/** Bytes to which places are aligned. Vector loads and cuBLASLt need 16, whole cache lines are 128. */
const ALIGNMENT = 256;

/** Memory that is needed from one step of a program to another, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface WorkspacePlan {
  /** The first byte of each lifetime, in their order. */
  readonly offsets: readonly number[];
  readonly bytes: number;
}

/** Places the largest first, each at the lowest offset that is free for its whole lifetime. */
export function planWorkspace(lifetimes: readonly Lifetime[]): WorkspacePlan {
  const offsets = new Array<number>(lifetimes.length).fill(0);
  const order = [...lifetimes.keys()].sort((a, b) => lifetimes[b].bytes - lifetimes[a].bytes || a - b);
  const placed: { readonly begin: number; readonly end: number; readonly lifetime: Lifetime }[] = [];
  let bytes = 0;
  for (const n of order) {
    const lifetime = lifetimes[n];
    const size = Math.ceil(Math.max(1, lifetime.bytes) / ALIGNMENT) * ALIGNMENT;
    let begin = 0;
    // `placed` is sorted by the first byte.
    for (const other of placed) {
      const isTogether = other.lifetime.first <= lifetime.last && lifetime.first <= other.lifetime.last;
      if (!isTogether) continue;
      if (other.begin >= begin + size) break;
      begin = Math.max(begin, other.end);
    }
    const entry = { begin, end: begin + size, lifetime };
    const place = placed.findIndex((other) => other.begin > begin);
    placed.splice(place < 0 ? placed.length : place, 0, entry);
    offsets[n] = begin;
    bytes = Math.max(bytes, entry.end);
  }
  return { offsets, bytes };
}

/** @file Joins kernels that do the same with tensors of any size into one launch for all of them. */
import { loadsOf } from '../ir/rewrite.js';
import type { Tensor } from '../ir/tensor.js';
import { maxEntries, renderUniform, type UniformKernel, uniformKey } from '../render/batch.js';
import type { CallItem, Group } from './groups.js';
import type { Batch, Item } from './items.js';

interface OpenBatch extends Batch {
  readonly groups: Group[];
  readonly kernels: UniformKernel[];
  readonly position: number;
}

/**
 * Moves groups to an earlier group whose kernel is the same, if what they read has been computed there.
 */
export function joinBatches(items: readonly (Group | CallItem)[]): Item[] {
  const planned: (Group | CallItem | OpenBatch)[] = [];
  const positions = new Map<Tensor, number>();
  const open = new Map<string, OpenBatch>();
  for (const item of items.flatMap(splitUniform)) {
    if (item.kind === 'call') {
      for (const tensor of item.call.results) positions.set(tensor, planned.length);
      planned.push(item);
      continue;
    }
    const kernel = renderUniform(item);
    const position = kernel ? join(item, kernel) : planned.push(item) - 1;
    for (const { tensor } of item.members) positions.set(tensor, position);
  }
  // A kernel for one tensor knows its size.
  return planned.map((item) => (item.kind === 'batch' && item.groups.length === 1 ? item.groups[0] : item));

  function join(group: Group, kernel: UniformKernel): number {
    const key = uniformKey(kernel);
    const ready = Math.max(-1, ...loadsOf(group.exprs).map(({ kind }) => positions.get(kind.tensor) ?? -1));
    let batch = open.get(key);
    if (!batch || ready >= batch.position || batch.groups.length >= maxEntries(kernel)) {
      batch = { kind: 'batch', groups: [], kernels: [], position: planned.length };
      open.set(key, batch);
      planned.push(batch);
    }
    batch.groups.push(group);
    batch.kernels.push(kernel);
    return batch.position;
  }
}

/** Splits a group of tensors that have only their size in common, if a batch can have each of them. */
function splitUniform(item: Group | CallItem): (Group | CallItem)[] {
  if (item.kind === 'call' || item.loop.kind !== 'elements') return [item];
  const parts = item.independentParts(item.loop.i);
  const keys = new Set(
    parts.map((part) => {
      const kernel = renderUniform(part);
      return kernel && uniformKey(kernel);
    }),
  );
  return keys.has(null) ? [item] : parts;
}

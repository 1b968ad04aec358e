/** @file Joins kernels that do the same with tensors of any size into one launch for all of them. */
import { isUniform, maxEntries, renderUniform, type UniformKernel, uniformKey } from '../render/batch.js';
import type { CallItem, Group } from './groups.js';
import type { Batch, Item } from './items.js';
import { Plan } from './plan.js';

interface OpenBatch extends Batch {
  readonly groups: Group[];
  readonly kernels: UniformKernel[];
  readonly position: number;
}

/** Moves groups to an earlier group whose kernel is the same, if what they read has been computed there. */
export function joinBatches(items: readonly (Group | CallItem)[]): Item[] {
  const plan = new Plan();
  const open = new Map<string, OpenBatch>();
  for (const item of items) {
    if (item.kind === 'call' || !isUniform(item)) plan.add(item);
    else for (const group of item.independentParts()) plan.move(group, join(group));
  }
  return plan.items();

  function join(group: Group): number {
    const kernel = renderUniform(group);
    const key = uniformKey(kernel);
    let batch = open.get(key);
    if (!batch || plan.ready(group) >= batch.position || batch.groups.length >= maxEntries(kernel)) {
      batch = { kind: 'batch', groups: [], kernels: [], position: plan.end };
      open.set(key, batch);
      plan.add(batch);
    }
    batch.groups.push(group);
    batch.kernels.push(kernel);
    return batch.position;
  }
}

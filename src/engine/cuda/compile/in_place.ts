/** @file Finds the results that may be written over an input, such as updated weights over the old ones. */
import { loadsOf } from '../ir/rewrite.js';
import { bytesOf, type Tensor } from '../ir/tensor.js';
import type { Group, Member } from './groups.js';
import { groupsOf, type Item, readBy } from './items.js';

/**
 * The input that each result may be written over. Its elements are read by no one but the thread that writes the element of the
 * same number, which reads before it writes, and no later step reads them.
 */
export function resultsInPlace(items: readonly Item[], outputs: readonly Tensor[]): Map<Tensor, Tensor> {
  const lastReader = new Map<Tensor, number>();
  for (const [n, item] of items.entries()) for (const tensor of readBy(item)) lastReader.set(tensor, n);
  const inPlace = new Map<Tensor, Tensor>();
  const taken = new Set<Tensor>();
  for (const [n, item] of items.entries()) {
    if (item.kind === 'call') continue;
    const groups = groupsOf(item);
    for (const group of groups) {
      const others = new Set(groups.filter((other) => other !== group).flatMap(readBy));
      for (const member of group.members) {
        if (!outputs.includes(member.tensor)) continue;
        const free = inputsOfElement(group, member).find(
          (input) => lastReader.get(input) === n && !others.has(input) && !taken.has(input),
        );
        if (!free) continue;
        inPlace.set(member.tensor, free);
        taken.add(free);
      }
    }
  }
  return inPlace;
}

/** The inputs like a member of which the group reads the element that it writes, and no other. */
function inputsOfElement({ loop, exprs }: Group, { tensor, value }: Member): Tensor[] {
  if (loop.kind !== 'elements') return [];
  const loads = loadsOf(exprs);
  const candidates = new Set(loadsOf([value]).map(({ kind }) => kind.tensor));
  return [...candidates].filter(
    (input) =>
      input.definition.kind === 'input' &&
      input.storage === tensor.storage &&
      bytesOf(input) === bytesOf(tensor) &&
      loads.every(({ kind }) => kind.tensor !== input || kind.index === loop.i),
  );
}

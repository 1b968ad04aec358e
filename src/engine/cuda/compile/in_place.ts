/** @file Finds the results that may be written over an input, such as updated weights over the old ones. */
import { loadsOf } from '../ir/rewrite.js';
import { bytesOf, type Tensor } from '../ir/tensor.js';
import type { Group, Member } from './groups.js';
import { groupsOf, type Item, readBy } from './items.js';

/**
 * The input that each result may be written over. Its elements are read by no one but the thread that writes the element of the
 * same number, which reads before it writes, and no later step reads them.
 */
export function resultsInPlace(items: readonly Item[], outputs: ReadonlySet<Tensor>): Map<Tensor, Tensor> {
  const readers = lastReaders(items);
  const inPlace = new Map<Tensor, Tensor>();
  const taken = new Set<Tensor>();
  for (const group of items.flatMap(groupsOf)) {
    for (const member of group.members) {
      if (!outputs.has(member.tensor)) continue;
      const free = inputsOfElement(group, member).find(
        (input) => readers.get(input)?.only === group && !taken.has(input),
      );
      if (!free) continue;
      inPlace.set(member.tensor, free);
      taken.add(free);
    }
  }
  return inPlace;
}

/** For each tensor the last item that reads it, and the group of that item that does so; null for a call or several groups. */
function lastReaders(items: readonly Item[]) {
  const last = new Map<Tensor, { readonly item: Item; readonly only: Group | null }>();
  for (const item of items) {
    for (const reader of item.kind === 'call' ? [item] : groupsOf(item)) {
      const group = reader.kind === 'group' ? reader : null;
      for (const tensor of new Set(readBy(reader)))
        last.set(tensor, { item, only: last.get(tensor)?.item === item ? null : group });
    }
  }
  return last;
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

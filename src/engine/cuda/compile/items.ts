/** @file What a program does step by step: kernels, some of which share a launch, and calls. */
import { loadsOf } from '../ir/rewrite.js';
import type { Tensor } from '../ir/tensor.js';
import type { UniformKernel } from '../render/batch.js';
import type { CallItem, Group } from './groups.js';

/** Groups whose kernels differ in their tensors only. */
export interface Batch {
  readonly kind: 'batch';
  readonly groups: readonly Group[];
  readonly kernels: readonly UniformKernel[];
}

/** Groups whose kernels run side by side. */
export interface Joint {
  readonly kind: 'joint';
  readonly groups: readonly Group[];
}

export type Item = Group | CallItem | Batch | Joint;

export function madeBy(item: Item): readonly Tensor[] {
  if (item.kind === 'call') return item.call.results;
  return groupsOf(item).flatMap(({ members }) => members.map(({ tensor }) => tensor));
}

export function readBy(item: Item): Tensor[] {
  if (item.kind === 'call')
    return item.call.steps.flatMap(({ operands }) => operands.map(({ tensor }) => tensor));
  return loadsOf(groupsOf(item).flatMap(({ exprs }) => exprs)).map(({ kind }) => kind.tensor);
}

/** The groups of an item; none of a call. */
export function groupsOf(item: Item): readonly Group[] {
  if (item.kind === 'call') return [];
  return item.kind === 'group' ? [item] : item.groups;
}

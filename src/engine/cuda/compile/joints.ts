/** @file Joins small kernels that do not need each other into one launch, because a launch takes longer than their work. */
import { bytesOf, type Tensor } from '../ir/tensor.js';
import type { Group } from './groups.js';
import { type Item, type Joint, madeBy, readBy } from './items.js';

/** Bytes of all tensors of a small kernel, at most. */
const MAX_BYTES = 2 ** 21;
/** Bytes and tensors of a joint launch. */
const MAX_JOINT_BYTES = 2 ** 23;
const MAX_JOINT_TENSORS = 200;

interface OpenJoint extends Joint {
  readonly groups: Group[];
  readonly position: number;
  bytes: number;
  tensors: number;
}

/** Moves small groups to an earlier one, if what they read has been computed there. */
export function joinSmall(items: readonly Item[]): Item[] {
  const planned: Item[] = [];
  const positions = new Map<Tensor, number>();
  const open: OpenJoint[] = [];
  for (const item of items) {
    const tensors = new Set([...madeBy(item), ...readBy(item)]);
    const bytes = [...tensors].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    const position =
      item.kind === 'group' && bytes <= MAX_BYTES
        ? join(item, { bytes, tensors: tensors.size })
        : planned.push(item) - 1;
    for (const tensor of madeBy(item)) positions.set(tensor, position);
  }
  return planned.map((item) => (item.kind === 'joint' && item.groups.length === 1 ? item.groups[0] : item));

  function join(group: Group, { bytes, tensors }: { bytes: number; tensors: number }): number {
    const ready = Math.max(-1, ...readBy(group).map((tensor) => positions.get(tensor) ?? -1));
    let joint = open.find(
      (other) =>
        other.position > ready &&
        other.bytes + bytes <= MAX_JOINT_BYTES &&
        other.tensors + tensors <= MAX_JOINT_TENSORS,
    );
    if (!joint) {
      joint = { kind: 'joint', groups: [], position: planned.length, bytes: 0, tensors: 0 };
      open.push(joint);
      planned.push(joint);
    }
    joint.groups.push(group);
    joint.bytes += bytes;
    joint.tensors += tensors;
    return joint.position;
  }
}

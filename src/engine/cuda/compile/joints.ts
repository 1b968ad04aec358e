/** @file Joins small kernels that do not need each other into one launch, because a launch takes longer than their work. */
import { bytesOf } from '../ir/tensor.js';
import type { Group } from './groups.js';
import { type Item, type Joint, madeBy, readBy } from './items.js';
import { Plan } from './plan.js';

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
  const plan = new Plan();
  const open: OpenJoint[] = [];
  for (const item of items) {
    const tensors = new Set([...madeBy(item), ...readBy(item)]);
    const bytes = [...tensors].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    if (item.kind !== 'group' || bytes > MAX_BYTES) plan.add(item);
    else plan.move(item, join(item, { bytes, tensors: tensors.size }));
  }
  return plan.items();

  function join(group: Group, { bytes, tensors }: { bytes: number; tensors: number }): number {
    const ready = plan.ready(group);
    let joint = open.find(
      (other) =>
        other.position > ready &&
        other.bytes + bytes <= MAX_JOINT_BYTES &&
        other.tensors + tensors <= MAX_JOINT_TENSORS,
    );
    if (!joint) {
      joint = { kind: 'joint', groups: [], position: plan.end, bytes: 0, tensors: 0 };
      open.push(joint);
      plan.add(joint);
    }
    joint.groups.push(group);
    joint.bytes += bytes;
    joint.tensors += tensors;
    return joint.position;
  }
}

/** @file Joins tensors along their first axis. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { Builder, TensorInfo } from '../ir/builder.js';
import type { View } from '../ir/tensor.js';

/** The elements of the parts one after the other. One part is returned as it is. */
export function join(b: Builder, parts: readonly View[], info: TensorInfo): View {
  if (parts.length === 1) return b.reshape(parts[0], info.shape);
  return b.map(info, (i) => {
    let end = sizeOf(info.shape);
    // From the last part to the first: each stands before what follows it.
    return parts.toReversed().reduce<ReturnType<Builder['load']> | null>((following, part) => {
      const { size } = part.tensor;
      const start = end - size;
      const element = b.load(
        part,
        i
          .sub(start)
          .max(0)
          .min(size - 1),
      );
      const joined = following ? i.lt(end).select(element, following) : element;
      end = start;
      return joined;
    }, null) as ReturnType<Builder['load']>;
  });
}

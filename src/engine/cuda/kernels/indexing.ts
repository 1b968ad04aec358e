/** @file Lowerings of operations that read elements by index: gather and one-hot vectors. */
import { coordinatesOf } from '../ir/coordinates.js';
import { constantOf, elementsOf, storedLike } from './elements.js';
import type { Lowering } from './lowering.js';

interface GatherAttributes {
  readonly batchSize: number;
  readonly outerSize: number;
  readonly dimSize: number;
  readonly sliceSize: number;
}

/** Elements at an index out of range are NaN, or 0 if they are no floats. */
const gather: Lowering = (builder, [x, indices], { attributes, outputs: [output] }) => {
  const { batchSize, outerSize, dimSize, sliceSize } = attributes as GatherAttributes;
  const count = indices.tensor.size / Math.max(1, batchSize);
  const missing = output.dtype === 'float32' ? Number.NaN : 0;
  return elementsOf(builder, storedLike([x], output), (i) => {
    if (x.tensor.size === 0) return constantOf(builder, missing, output.dtype);
    const [batch, outer, n, element] = coordinatesOf(i, [batchSize, outerSize, count, sliceSize]);
    const index = builder.load(indices, batch.mul(count).add(n));
    const isInside = index.ge(0).and(index.lt(dimSize));
    const row = batch.mul(outerSize).add(outer).mul(dimSize).add(index.guarded(isInside, dimSize));
    return isInside.select(builder.load(x, row.mul(sliceSize).add(element)), missing);
  });
};

const oneHot: Lowering = (builder, [indices], { attributes, outputs: [output] }) => {
  const { depth, onValue, offValue } = attributes as Record<'depth' | 'onValue' | 'offValue', number>;
  return elementsOf(builder, output, (i) => {
    const isClass = builder.load(indices, i.div(depth)).cast('int').eq(i.mod(depth));
    return isClass.select(constantOf(builder, onValue, output.dtype), offValue);
  });
};

export const indexingLowerings: Readonly<Record<string, Lowering>> = { GatherV2: gather, OneHot: oneHot };

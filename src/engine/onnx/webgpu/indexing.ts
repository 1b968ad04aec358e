/** @file tfjs's kernels that gather and scatter, on a GPU. Nothing there can refuse an index, so none is out of range. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { LazyDtype } from '../../lazy/value.js';
import { type GatherAttributes, indexingKernels } from '../../record/kernels/indexing.js';
import type { GraphBuilder } from '../graph_builder.js';
import type { Kernel } from '../kernel.js';
import { largestOfRows, poison, scatterer, scatterIntegers } from './scatter.js';

/** Indices out of range count as the nearest row. */
export const gather: Kernel = {
  ...indexingKernels.GatherV2,
  lower: (g, [x, indices], { attributes, outputs: [{ shape }] }) => {
    const { batchSize, outerSize, dimSize, sliceSize } = attributes as GatherAttributes;
    const count = sizeOf(indices.shape) / Math.max(1, batchSize);
    const starts = Array.from({ length: batchSize * outerSize }, (_, i) => i * dimSize);
    const index = g.reshape(indices.name, [batchSize, 1, count]);
    const last = g.scalar(Math.max(0, dimSize - 1), 'int32');
    const inRange = g.op('Min', [g.op('Max', [index, g.scalar(0, 'int32')]), last]);
    const places = g.op('Add', [inRange, g.constant('int32', [batchSize, outerSize, 1], starts)]);
    const rows = g.reshape(x.name, [batchSize * outerSize * dimSize, sliceSize]);
    return g.reshape(g.op('Gather', [rows, places], { axis: 0 }), shape);
  },
};

/** Rows to be added to zeros at `places`, int32 [count, 1], of which those outside of [0, R) are left out. */
interface Rows {
  readonly name: string;
  readonly dtype: LazyDtype;
  readonly count: number;
  readonly places: string;
}

/** Returns the sums [R, columns]. */
function sumsOfRows(g: GraphBuilder, { name, dtype, count, places }: Rows, [R, columns]: number[]): string {
  if (count * columns === 0) return g.op('Expand', [g.scalar(0, dtype), g.ints([R, columns])]);
  const isBelow = g.op('Less', [places, g.scalar(0, 'int32')]);
  const isAbove = g.op('Greater', [places, g.scalar(R, 'int32')]);
  // Rows that are left out go to an additional row.
  const indices = g.op('Where', [g.op('Or', [isBelow, isAbove]), g.scalar(R, 'int32'), places]);
  const scatter = { rows: R + 1, indices, count };
  const sums =
    dtype === 'float32'
      ? g.op('Add', [scatterer(g, largestOfRows(g, name), scatter)(name, columns), poison(g, name)])
      : scatterIntegers(g, name, { ...scatter, columns });
  return g.op('Slice', [sums, g.ints([0]), g.ints([R]), g.ints([0])]);
}

/** Updates whose index vector is out of range are left out. */
export const scatterNd: Kernel = {
  ...indexingKernels.ScatterNd,
  lower: (g, [indices, updates], { outputs: [{ shape }] }) => {
    const rank = indices.shape.length > 1 ? (indices.shape.at(-1) as number) : 1;
    const count = sizeOf(indices.shape) / rank;
    const extents = shape.slice(0, rank);
    const [R, columns] = [sizeOf(extents), sizeOf(shape.slice(rank))];
    const vectors = g.reshape(indices.name, [count, rank]);
    const places = g
      .split(
        vectors,
        extents.map(() => 1),
        1,
      )
      .map((index, axis) => {
        const isBelow = g.op('Less', [index, g.scalar(0, 'int32')]);
        const isAbove = g.op('GreaterOrEqual', [index, g.scalar(extents[axis], 'int32')]);
        const place = g.op('Mul', [index, g.scalar(sizeOf(extents.slice(axis + 1)), 'int32')]);
        return g.op('Where', [g.op('Or', [isBelow, isAbove]), g.scalar(R, 'int32'), place]);
      })
      .reduce((sum, place) => g.op('Add', [sum, place]));
    const name = g.reshape(updates.name, [count, columns]);
    return g.reshape(sumsOfRows(g, { name, dtype: updates.dtype, count, places }, [R, columns]), shape);
  },
};

export const unsortedSegmentSum: Kernel = {
  ...indexingKernels.UnsortedSegmentSum,
  lower: (g, [x, ids], { outputs: [{ shape, dtype }] }) => {
    const [R, ...row] = shape;
    const [count] = x.shape;
    const numbers = x.dtype === dtype ? x.name : g.cast(x.name, dtype);
    const name = g.reshape(numbers, [count, sizeOf(row)]);
    const places = g.reshape(ids.name, [count, 1]);
    return g.reshape(sumsOfRows(g, { name, dtype, count, places }, [R, sizeOf(row)]), shape);
  },
};

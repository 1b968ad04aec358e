/** @file Sums of rows by index, with the same bits in every run if the policy asks for it. */
import { sizeOf } from '../../../../formats/host_tensor.js';
import type { Builder } from '../../ir/builder.js';
import type { KernelStep, Slice, Step } from '../../ir/call.js';
import type { View } from '../../ir/tensor.js';
import { ELEMENT_BYTES } from '../../storage.js';
import type { Lowering, Policy } from '../lowering.js';
import { type Addition, addKernel, fixedToFloatKernel, type Updates } from './atomic_kernels.js';
import { rowSumResults, rowSumSteps } from './row_sums.js';
import { clearStep, elementwise } from './steps.js';

/** Elements of a row from which on warps add up whole rows; shorter ones are added by atomic operations. */
const MIN_WIDE = 32;

export interface Scatter {
  /** Shape of the result: rows, and then the axes of a row. */
  readonly shape: readonly number[];
  /** Row of each update, int32 [count]. Updates of rows outside of the result are left out. */
  readonly row: View;
  /** float32 or int32, [count / repeats, …row]. */
  readonly values: View;
  /** Number of successive updates that each row of the values serves; 1 by default. */
  readonly repeats?: number;
  /** Factors of the updates, float32 [count]. */
  readonly weights?: View;
}

/**
 * Adds updates to the rows of zeros. A deterministic sum of floats rounds each update to a multiple of a unit, about
 * count / 2^61 of the largest one, and adds exactly. It is NaN everywhere if an update is NaN or infinite, or if the largest
 * value times the largest weight is not finite.
 */
export function scatterAdd(b: Builder, scatter: Scatter, { isDeterministic }: Policy): View {
  const { shape, row, values, weights } = scatter;
  const { dtype } = values.tensor;
  if (dtype === 'bool') throw new Error('no sums of booleans');
  const count = row.tensor.size;
  if (count === 0 || sizeOf(shape) === 0) return b.map({ shape, dtype }, () => b.int(0));
  const updates: Updates = {
    count,
    width: sizeOf(shape.slice(1)),
    repeats: scatter.repeats ?? 1,
    values: values.tensor.storage,
    weights: weights?.tensor.storage,
    rows: shape[0],
  };
  const addition: Addition = dtype === 'int32' ? 'int' : isDeterministic ? 'fixed' : 'float';
  const bound = addition === 'fixed' ? [boundOf(b, scatter)] : [];
  const terms = [values, ...(weights ? [weights] : []), ...bound].map(wholeOf);
  const table = { shape, dtype };
  if (updates.width >= MIN_WIDE) {
    const steps = rowSumSteps({ updates, addition, row: wholeOf(row), terms });
    return b.call([table, ...rowSumResults(updates)], steps)[0];
  }
  const operands = [wholeOf(row), ...terms];
  const size = sizeOf(shape);
  if (addition !== 'fixed')
    return b.call([table], [clearStep(0, 4 * size), addStep(updates, addition, { operands, result: 0 })])[0];
  // The 64-bit sums, as twice as many 32-bit integers.
  const sums = { shape: [...shape, 2], dtype: 'int32' as const };
  const steps: Step[] = [
    clearStep(1, 8 * size),
    addStep(updates, addition, { operands, result: 1 }),
    convertStep(updates, wholeOf(bound[0])),
  ];
  return b.call([table, sums], steps)[0];
}

const wholeOf = ({ tensor }: View): Slice => ({ tensor, offset: 0 });

/** At least the absolute values of all updates; NaN or infinite if one of them is. */
function boundOf(b: Builder, { values, weights }: Scatter): View {
  const largest = (view: View) =>
    b.reduce({ shape: [], dtype: 'float32' }, { operator: 'max', count: view.tensor.size }, (_, k) =>
      b.load(view, k).fn('abs'),
    );
  const ofValues = largest(values);
  if (!weights) return ofValues;
  const ofWeights = largest(weights);
  const zero = b.int(0);
  return b.map({ shape: [], dtype: 'float32' }, () => b.load(ofValues, zero).mul(b.load(ofWeights, zero)));
}

function addStep(
  updates: Updates,
  addition: Addition,
  { operands, result }: { readonly operands: readonly Slice[]; readonly result: number },
): KernelStep {
  const { count, width, repeats, values } = updates;
  const sumBytes = addition === 'fixed' ? 8 : 4;
  const bytes = count * (8 + width * (ELEMENT_BYTES[values] / repeats + 2 * sumBytes));
  return {
    ...elementwise(count * width),
    operands,
    results: [{ result, offset: 0 }],
    cost: { bytes, flops: 2 * count * width },
    source: (name) => addKernel(name, updates, addition),
  };
}

/** Converts result 1 from fixed point to floats, result 0. */
function convertStep(updates: Updates, bound: Slice): KernelStep {
  const size = updates.rows * updates.width;
  return {
    ...elementwise(size),
    operands: [bound],
    results: [
      { result: 1, offset: 0 },
      { result: 0, offset: 0 },
    ],
    cost: { bytes: 12 * size, flops: size },
    source: (name) => fixedToFloatKernel(name, updates),
  };
}

/**
 * {indices [count, rank], updates [count, …]}: adds updates to zeros at index vectors, of which several may be equal. Updates
 * outside of the result are left out.
 */
export const scatterNd: Lowering = (b, [indices, updates], { outputs: [{ shape }] }, policy) => {
  // A list of numbers is a list of vectors of length 1.
  const rank = indices.shape.length > 1 ? indices.shape[indices.shape.length - 1] : 1;
  const extents = shape.slice(0, rank);
  const count = rank === 0 ? sizeOf(indices.shape.slice(0, -1)) : sizeOf(indices.shape) / rank;
  const row = b.map({ shape: [count], dtype: 'int32' }, (update) => {
    const vector = extents.map((_, axis) => b.load(indices, update.mul(rank).add(axis)));
    const place = vector.reduce((sum, index, axis) => sum.mul(extents[axis]).add(index), b.int(0));
    const areInside = vector.map((index, axis) => index.ge(0).and(index.lt(extents[axis])));
    return areInside.length > 0
      ? areInside.reduce((all, inside) => all.and(inside)).select(place, -1)
      : place;
  });
  const rows = [sizeOf(extents), ...shape.slice(rank)];
  return b.reshape(scatterAdd(b, { shape: rows, row, values: updates }, policy), shape);
};

/** {x [count, …], segmentIds [count]}: adds up rows of equal id; rows with ids outside of the segments are left out. */
export const unsortedSegmentSum: Lowering = (b, [x, ids], { outputs: [{ shape, dtype }] }, policy) => {
  const isBool = x.tensor.dtype === 'bool';
  const values = isBool ? b.map({ shape: x.shape, dtype }, (i) => b.load(x, i).cast('int')) : x;
  return scatterAdd(b, { shape, row: ids, values }, policy);
};

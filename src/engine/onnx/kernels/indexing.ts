/** @file The lowerings of the kernels that read or write elements by index. */
import { sizeOf } from '../../../formats/host_tensor.js';
import {
  type GatherAttributes,
  type OneHotAttributes,
  indexingKernels as recorded,
} from '../../record/kernels/indexing.js';
import { SERIAL_STREAM } from '../compiler.js';
import { type Lowering, lowered } from '../kernel.js';

const gather: Lowering = (g, [x, indices], { attributes, outputs: [{ shape }] }) => {
  const { batchSize, outerSize, dimSize, sliceSize } = attributes as GatherAttributes;
  const count = sizeOf(indices.shape) / Math.max(1, batchSize);
  // x as rows of a matrix: row (batch, outer, index) of [batch, outer, dim, slice].
  const rowCount = batchSize * outerSize * dimSize;
  const starts = Array.from({ length: batchSize * outerSize }, (_, i) => i * dimSize);
  const index = g.reshape(indices.name, [batchSize, 1, count]);
  const places = g.op('Add', [index, g.constant('int32', [batchSize, outerSize, 1], starts)]);
  // The runtime refuses rows after the last one, but a wrong index could also be an existing row.
  const isBelow = g.op('Less', [index, g.scalar(0, 'int32')]);
  const isAbove = g.op('GreaterOrEqual', [index, g.scalar(dimSize, 'int32')]);
  const checked = g.op('Where', [g.op('Or', [isBelow, isAbove]), g.scalar(rowCount, 'int32'), places]);
  const rows = g.reshape(x.name, [rowCount, sliceSize]);
  return g.reshape(g.op('Gather', [rows, checked], { axis: 0 }), shape);
};

const oneHot: Lowering = (g, [indices], { attributes, outputs: [{ dtype }] }) => {
  const { depth, onValue, offValue } = attributes as OneHotAttributes;
  // Not ONNX's OneHot, for which negative indices count from the end.
  const classes = g.constant('int32', [depth], [...Array(depth).keys()]);
  const column = g.reshape(indices.name, [...indices.shape, 1]);
  const isClass = g.op('Equal', [column, classes]);
  // The runtime has no Where for booleans.
  const type = dtype === 'bool' ? 'int32' : dtype;
  const y = g.op('Where', [isClass, g.scalar(onValue, type), g.scalar(offValue, type)]);
  return dtype === 'bool' ? g.cast(y, 'bool') : y;
};

const scatterNd: Lowering = (g, [indices, updates], { outputs: [{ shape }] }) => {
  const zero = g.scalar(0, updates.dtype);
  const zeros = g.op('Expand', [zero, g.ints(shape)]);
  // A list of numbers is a list of vectors of length 1.
  const vectorShape = indices.shape.length > 1 ? indices.shape : [...indices.shape, 1];
  const rank = vectorShape[vectorShape.length - 1];
  const vectors = g.reshape(indices.name, vectorShape);
  // The runtime refuses an index after the end, but a negative one would count from there.
  const isBelow = g.op('Less', [vectors, g.scalar(0, 'int32')]);
  const ends = g.constant('int32', [rank], shape.slice(0, rank));
  const places = g.cast(g.op('Where', [isBelow, ends, vectors]), 'int64');
  return g.op('ScatterND', [zeros, places, updates.name], { reduction: 'add' });
};

const unsortedSegmentSum: Lowering = (g, [x, ids], { outputs: [{ shape, dtype }] }) => {
  const [count, ...row] = shape;
  const last = g.scalar(count, 'int32');
  const isBelow = g.op('Less', [ids.name, g.scalar(0, 'int32')]);
  const isAbove = g.op('Greater', [ids.name, last]);
  // Rows that are left out go to an additional segment.
  const places = g.op('Where', [g.op('Or', [isBelow, isAbove]), last, ids.name]);
  const zeros = g.op('Expand', [g.scalar(0, dtype), g.ints([count + 1, ...row])]);
  const vectors = g.reshape(g.cast(places, 'int64'), [...ids.shape, 1]);
  const rows = x.dtype === dtype ? x.name : g.cast(x.name, dtype);
  const sums = g.op('ScatterND', [zeros, vectors, rows], { reduction: 'add' });
  return g.op('Slice', [sums, g.ints([0]), g.ints([count]), g.ints([0])]);
};

const kernels = lowered(recorded, {
  GatherV2: gather,
  OneHot: oneHot,
  ScatterNd: scatterNd,
  UnsortedSegmentSum: unsortedSegmentSum,
});

export const indexingKernels = {
  ...kernels,
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  ScatterNd: { ...kernels.ScatterNd, stream: SERIAL_STREAM },
  UnsortedSegmentSum: { ...kernels.UnsortedSegmentSum, stream: SERIAL_STREAM },
};

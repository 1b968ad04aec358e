/** @file Kernels that read or write elements by index: gather, scatter, sums of segments and one-hot vectors. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { tf } from '../../tfjs.js';
import { SERIAL_STREAM } from '../compiler.js';
import { dtypeOf, type Kernel } from '../kernel.js';

export interface GatherAttributes {
  batchSize: number;
  outerSize: number;
  dimSize: number;
  sliceSize: number;
}

/** Elements x[..., index, ...] along an axis; the first `batchDims` axes of both operands are batch axes. */
export const gather: Kernel = {
  name: 'GatherV2',
  record: ({ x, indices }, attrs) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, x.shape);
    const { collectGatherOpShapeInfo } = tf.backend_util.segment_util;
    const { batchSize, outerSize, dimSize, sliceSize, outputShape } = collectGatherOpShapeInfo(
      x as never,
      indices as never,
      axis,
      (attrs.batchDims as number | undefined) ?? 0,
    );
    const attributes: GatherAttributes = { batchSize, outerSize, dimSize, sliceSize };
    return { inputs: [x, indices], attributes, outputs: [{ shape: outputShape, dtype: dtypeOf(x) }] };
  },
  check: ({ x, indices }, attrs, contentOf) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, x.shape);
    const last = x.shape[axis] - 1;
    const wrong = contentOf(indices)?.find((index) => index < 0 || index > last);
    tf.util.assert(wrong === undefined, () => `GatherV2: the index value ${wrong} is not in [0, ${last}]`);
  },
  lower: (g, [x, indices], { attributes, outputs: [{ shape }] }) => {
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
  },
};

const oneHot: Kernel = {
  name: 'OneHot',
  record: ({ indices }, { depth, onValue, offValue, dtype }) => ({
    inputs: [indices],
    attributes: { depth, onValue, offValue },
    outputs: [
      { shape: [...indices.shape, depth as number], dtype: dtypeOf({ dtype: (dtype as string) ?? 'int32' }) },
    ],
  }),
  lower: (g, [indices], { attributes, outputs: [{ dtype }] }) => {
    const { depth, onValue, offValue } = attributes as Record<'depth' | 'onValue' | 'offValue', number>;
    // Not ONNX's OneHot, for which negative indices count from the end.
    const classes = g.constant('int32', [depth], [...Array(depth).keys()]);
    const column = g.reshape(indices.name, [...indices.shape, 1]);
    const isClass = g.op('Equal', [column, classes]);
    // The runtime has no Where for booleans.
    const type = dtype === 'bool' ? 'int32' : dtype;
    const y = g.op('Where', [isClass, g.scalar(onValue, type), g.scalar(offValue, type)]);
    return dtype === 'bool' ? g.cast(y, 'bool') : y;
  },
};

/** Adds updates to zeros at index vectors, of which several may be equal. */
export const scatterNd: Kernel = {
  name: 'ScatterNd',
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  stream: SERIAL_STREAM,
  record: ({ indices, updates }, { shape }) => ({
    inputs: [indices, updates],
    outputs: [{ shape: shape as number[], dtype: dtypeOf(updates) }],
  }),
  lower: (g, [indices, updates], { outputs: [{ shape }] }) => {
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
  },
};

/** Adds up rows of equal id; rows with ids outside of [0, numSegments) are left out. */
export const unsortedSegmentSum: Kernel = {
  name: 'UnsortedSegmentSum',
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  stream: SERIAL_STREAM,
  record: ({ x, segmentIds }, { numSegments }) => {
    tf.util.assertShapesMatch(segmentIds.shape, x.shape.slice(0, 1), 'unsortedSegmentSum: one id per row: ');
    const shape = [numSegments as number, ...x.shape.slice(1)];
    const dtype = x.dtype === 'bool' ? 'int32' : dtypeOf(x);
    return { inputs: [x, segmentIds], outputs: [{ shape, dtype }] };
  },
  lower: (g, [x, ids], { outputs: [{ shape, dtype }] }) => {
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
  },
};

export const indexingKernels: Kernel<never>[] = [gather, oneHot, scatterNd, unsortedSegmentSum];

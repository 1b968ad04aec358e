/** @file Kernels that read or write elements by index: gather, scatter, sums of segments and one-hot vectors. */
import { tf } from '../../tfjs.js';
import { dtypeOf, named, type Recording } from '../kernel.js';

/** x seen as [batch, outer, dim, slice]: the indices of a batch pick slices along `dim`. */
export interface GatherAttributes {
  batchSize: number;
  outerSize: number;
  dimSize: number;
  sliceSize: number;
}

export interface OneHotAttributes {
  depth: number;
  onValue: number;
  offValue: number;
}

/** Elements x[..., index, ...] along an axis; the first `batchDims` axes of both operands are batch axes. */
const gather: Recording = {
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
};

const oneHot: Recording = {
  record: ({ indices }, { depth, onValue, offValue, dtype }) => ({
    inputs: [indices],
    attributes: { depth, onValue, offValue },
    outputs: [
      { shape: [...indices.shape, depth as number], dtype: dtypeOf({ dtype: (dtype as string) ?? 'int32' }) },
    ],
  }),
};

/**
 * Adds updates to zeros at index vectors, of which several may be equal. A list of numbers as indices is a list of vectors of
 * length 1.
 */
const scatterNd: Recording = {
  record: ({ indices, updates }, { shape }) => ({
    inputs: [indices, updates],
    outputs: [{ shape: shape as number[], dtype: dtypeOf(updates) }],
  }),
};

/** Adds up rows of equal id; rows with ids outside of [0, numSegments) are left out. */
const unsortedSegmentSum: Recording = {
  record: ({ x, segmentIds }, { numSegments }) => {
    tf.util.assertShapesMatch(segmentIds.shape, x.shape.slice(0, 1), 'unsortedSegmentSum: one id per row: ');
    const shape = [numSegments as number, ...x.shape.slice(1)];
    const dtype = x.dtype === 'bool' ? 'int32' : dtypeOf(x);
    return { inputs: [x, segmentIds], outputs: [{ shape, dtype }] };
  },
};

export const indexingKernels = named({
  GatherV2: gather,
  OneHot: oneHot,
  ScatterNd: scatterNd,
  UnsortedSegmentSum: unsortedSegmentSum,
});

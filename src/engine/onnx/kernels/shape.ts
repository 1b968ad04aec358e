/** @file Kernels that move elements: transposition, slices, concatenation, padding, repetition, gather and scatter. */
import { backend_util, slice_util, util } from '@tensorflow/tfjs';
import { sizeOf } from '../../../formats/host_tensor.js';
import type { LazyDtype } from '../../lazy/value.js';
import { SERIAL_STREAM } from '../compiler.js';
import { dtypeOf, type Kernel, type ListInputs } from '../kernel.js';

const transpose: Kernel = {
  name: 'Transpose',
  record: ({ x }, { perm }) => {
    const permutation = perm as number[];
    const shape = permutation.map((axis) => x.shape[axis]);
    return { inputs: [x], attributes: { perm: permutation }, outputs: [{ shape, dtype: dtypeOf(x) }] };
  },
  lower: (g, [x], { attributes, outputs: [{ shape }] }) => {
    const { perm } = attributes as { perm: number[] };
    // Axes of length 1 may go anywhere: then nothing moves.
    const moved = perm.filter((axis) => x.shape[axis] !== 1);
    if (moved.every((axis, i) => i === 0 || moved[i - 1] < axis)) return g.reshape(x.name, shape);
    return g.op('Transpose', [x.name], { perm });
  },
};

const slice: Kernel = {
  name: 'Slice',
  record: ({ x }, { begin, size }) => {
    const [starts, sizes] = slice_util.parseSliceParams(
      x as Parameters<typeof slice_util.parseSliceParams>[0],
      begin as number | number[],
      size as number | number[],
    );
    slice_util.assertParamsValid(x as never, starts, sizes);
    return { inputs: [x], attributes: { starts }, outputs: [{ shape: sizes, dtype: dtypeOf(x) }] };
  },
  lower: (g, [x], { attributes, outputs: [{ shape }] }) => {
    const { starts } = attributes as { starts: number[] };
    const axes = shape.flatMap((size, axis) => (size === x.shape[axis] ? [] : [axis]));
    if (axes.length === 0) return x.name;
    const bounds = [axes.map((axis) => starts[axis]), axes.map((axis) => starts[axis] + shape[axis]), axes];
    return g.op('Slice', [x.name, ...bounds.map((list) => g.ints(list))]);
  },
};

const concat: Kernel<ListInputs> = {
  name: 'Concat',
  record: (parts, attrs) => {
    const [axis] = util.parseAxisParam(attrs.axis as number, parts[0].shape);
    backend_util.assertParamsConsistent(
      parts.map((part) => part.shape),
      axis,
    );
    const shape = backend_util.computeOutShape(
      parts.map((part) => part.shape),
      axis,
    );
    const filled = parts.filter((part) => sizeOf(part.shape) > 0);
    return {
      inputs: filled.length ? filled : parts.slice(0, 1),
      attributes: { axis },
      outputs: [{ shape, dtype: dtypeOf(parts[0]) }],
    };
  },
  lower: (g, parts, { attributes, outputs: [{ shape }] }) => {
    const { axis } = attributes as { axis: number };
    if (parts.length === 1) return g.reshape(parts[0].name, shape);
    return g.op(
      'Concat',
      parts.map(({ name }) => name),
      { axis },
    );
  },
};

/** A shape with a new axis of length 1 at `place`, which counts from the end if negative. Throws if it is out of range. */
export function withAxis(shape: readonly number[], place: number): { axis: number; shape: number[] } {
  const rank = shape.length;
  const axis = place < 0 ? rank + 1 + place : place;
  util.assert(
    axis >= 0 && axis <= rank,
    () => `Axis must be in the interval [${-(rank + 1)}, ${rank}], not ${place}`,
  );
  return { axis, shape: [...shape.slice(0, axis), 1, ...shape.slice(axis)] };
}

/** Joins tensors along a new axis. */
const pack: Kernel<ListInputs> = {
  name: 'Pack',
  record: (parts, attrs) => {
    const [{ shape, dtype }] = parts;
    for (const part of parts) {
      util.assertShapesMatch(shape, part.shape, 'All tensors passed to stack must have matching shapes');
      util.assert(dtype === part.dtype, () => 'All tensors passed to stack must have matching dtypes');
    }
    const { axis, shape: widened } = withAxis(shape, attrs.axis as number);
    return {
      inputs: parts.map((part) => ({ ...part, shape: widened })),
      attributes: { axis },
      outputs: [
        {
          shape: widened.map((size, i) => (i === axis ? parts.length : size)),
          dtype: dtypeOf({ dtype }),
        },
      ],
    };
  },
  lower: (g, parts, { attributes }) => {
    const { axis } = attributes as { axis: number };
    return g.op(
      'Concat',
      parts.map(({ name }) => name),
      { axis },
    );
  },
};

const splitV: Kernel = {
  name: 'SplitV',
  record: ({ x }, attrs) => {
    const [axis] = util.parseAxisParam(attrs.axis as number, x.shape);
    const sizes = backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits as number | number[], axis);
    const outputs = sizes.map((size) => ({
      shape: x.shape.map((whole, i) => (i === axis ? size : whole)),
      dtype: dtypeOf(x),
    }));
    return { inputs: [x], attributes: { axis }, outputs };
  },
  lower: (g, [x], { attributes, outputs }) => {
    const { axis } = attributes as { axis: number };
    return g.split(
      x.name,
      outputs.map(({ shape }) => shape[axis]),
      axis,
    );
  },
};

/** Splits a tensor into slices along an axis, which they lose. */
const unpack: Kernel = {
  name: 'Unpack',
  record: ({ value }, attrs) => {
    const [axis] = util.parseAxisParam(attrs.axis as number, value.shape);
    const shape = value.shape.map((size, i) => (i === axis ? 1 : size));
    const output = { shape, view: value.shape.filter((_, i) => i !== axis), dtype: dtypeOf(value) };
    const outputs = Array.from({ length: value.shape[axis] }, () => output);
    return { inputs: [value], attributes: { axis }, outputs };
  },
  lower: splitV.lower,
};

const pad: Kernel = {
  name: 'PadV2',
  record: ({ x }, { paddings, constantValue }) => {
    const widths = paddings as [number, number][];
    const shape = x.shape.map((size, axis) => size + widths[axis][0] + widths[axis][1]);
    return {
      inputs: [x],
      attributes: { widths, value: constantValue },
      outputs: [{ shape, dtype: dtypeOf(x) }],
    };
  },
  lower: (g, [x], { attributes, outputs: [{ shape }] }) => {
    const { widths, value } = attributes as { widths: [number, number][]; value: number };
    if (sizeOf(x.shape) === 0) return g.op('Expand', [g.scalar(value, x.dtype), g.ints(shape)]);
    if (shape.length === 0) return x.name;
    const number = x.dtype === 'bool' ? g.cast(x.name, 'int32') : x.name;
    const amounts = g.ints([...widths.map(([before]) => before), ...widths.map(([, after]) => after)]);
    const padded = g.op('Pad', [
      number,
      amounts,
      g.scalar(value, x.dtype === 'float32' ? 'float32' : 'int32'),
    ]);
    return x.dtype === 'bool' ? g.cast(padded, 'bool') : padded;
  },
};

const tile: Kernel = {
  name: 'Tile',
  record: ({ x }, attrs) => {
    const reps = attrs.reps as number[];
    const shape = x.shape.map((size, axis) => size * reps[axis]);
    return { inputs: [x], attributes: { reps }, outputs: [{ shape, dtype: dtypeOf(x) }] };
  },
  lower: (g, [x], { attributes }) => {
    const { reps } = attributes as { reps: number[] };
    return reps.every((count) => count === 1) ? x.name : g.op('Tile', [x.name, g.ints(reps)]);
  },
};

interface GatherAttributes {
  batchSize: number;
  outerSize: number;
  dimSize: number;
  sliceSize: number;
}

/** Elements x[..., index, ...] along an axis; the first `batchDims` axes of both operands are batch axes. */
const gather: Kernel = {
  name: 'GatherV2',
  record: ({ x, indices }, attrs) => {
    const [axis] = util.parseAxisParam(attrs.axis as number, x.shape);
    const { collectGatherOpShapeInfo } = backend_util.segment_util;
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
    const [axis] = util.parseAxisParam(attrs.axis as number, x.shape);
    const last = x.shape[axis] - 1;
    const wrong = contentOf(indices)?.find((index) => index < 0 || index > last);
    util.assert(wrong === undefined, () => `GatherV2: the index value ${wrong} is not in [0, ${last}]`);
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
const scatterNd: Kernel = {
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
const unsortedSegmentSum: Kernel = {
  name: 'UnsortedSegmentSum',
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  stream: SERIAL_STREAM,
  record: ({ x, segmentIds }, { numSegments }) => {
    util.assertShapesMatch(segmentIds.shape, x.shape.slice(0, 1), 'unsortedSegmentSum: one id per row: ');
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

const fill: Kernel = {
  name: 'Fill',
  record: (_, { shape, value, dtype }) => ({
    inputs: [],
    attributes: { value },
    outputs: [
      {
        shape: shape as number[],
        dtype: dtypeOf({ dtype: (dtype as string | undefined) ?? util.inferDtype(value as number) }),
      },
    ],
  }),
  lower: (g, _, { attributes, outputs: [{ shape, dtype }] }) => {
    const { value } = attributes as { value: number };
    return g.op('Expand', [g.scalar(value, dtype), g.ints(shape)]);
  },
};

function filledLike(name: string, value: number): Kernel {
  return {
    name,
    // The values do not matter, so the operand is not an input of the graph.
    record: ({ x }) => ({ inputs: [], attributes: {}, outputs: [{ shape: x.shape, dtype: dtypeOf(x) }] }),
    lower: (g, _, { outputs: [{ shape, dtype }] }) => g.op('Expand', [g.scalar(value, dtype), g.ints(shape)]),
  };
}

const range: Kernel = {
  name: 'Range',
  record: (_, { start, stop, step, dtype }) => {
    const [from, to, by] = [start as number, stop as number, step as number];
    const isEmpty = from === to || (from < to && by < 0) || (to < from && by > 1);
    const length = isEmpty ? 0 : Math.abs(Math.ceil((to - from) / by));
    // As in tfjs, a step of 1 (the default) counts down if the end is below the start.
    const signed = to < from && by === 1 ? -1 : by;
    return {
      inputs: [],
      attributes: { from, by: signed },
      outputs: [{ shape: [length], dtype: dtypeOf({ dtype: dtype as LazyDtype }) }],
    };
  },
  lower: (g, _, { attributes, outputs: [{ shape, dtype }] }) => {
    const { from, by } = attributes as { from: number; by: number };
    const values = Array.from({ length: shape[0] }, (_, i) => from + i * by);
    return g.op('Identity', [g.constant(dtype, shape, values)]);
  },
};

export const shapeKernels: Kernel<never>[] = [
  transpose,
  slice,
  concat,
  pack,
  splitV,
  unpack,
  pad,
  tile,
  gather,
  oneHot,
  scatterNd,
  unsortedSegmentSum,
  fill,
  filledLike('ZerosLike', 0),
  filledLike('OnesLike', 1),
  range,
];

/** @file Kernels that move elements: transposition, slices, concatenation, padding, repetition, gather and scatter. */
import { backend_util, slice_util, util } from '@tensorflow/tfjs';
import type { LazyDtype } from '../../lazy/value.js';
import { SERIAL_LANE } from '../compiler.js';
import { dtypeOf, type Kernel, sizeOf } from '../kernel.js';

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

const stridedSlice: Kernel = {
  name: 'StridedSlice',
  record: ({ x }, attrs) => {
    const info = slice_util.sliceInfo(
      x.shape,
      attrs.begin as number[],
      attrs.end as number[],
      attrs.strides as number[],
      attrs.beginMask as number,
      attrs.endMask as number,
      attrs.ellipsisMask as number,
      attrs.newAxisMask as number,
      attrs.shrinkAxisMask as number,
    );
    const { begin, end, strides, finalShape } = info;
    return {
      inputs: [x],
      attributes: { begin, end, strides },
      outputs: [{ shape: finalShape, dtype: dtypeOf(x) }],
    };
  },
  lower: (g, [x], { attributes, outputs: [{ shape }] }) => {
    const { begin, end, strides } = attributes as Record<'begin' | 'end' | 'strides', number[]>;
    if (sizeOf(shape) === 0) return g.op('Slice', [x.name, g.ints([0]), g.ints([0]), g.ints([0])]);
    // Going backwards, −1 as an end is "before the first"; to ONNX it would be the last element.
    const ends = end.map((value, axis) => (strides[axis] < 0 && value < 0 ? -1e9 : value));
    const axes = x.shape.map((_, axis) => axis);
    const sliced = g.op('Slice', [x.name, g.ints(begin), g.ints(ends), g.ints(axes), g.ints(strides)]);
    return g.reshape(sliced, shape);
  },
};

const concat: Kernel = {
  name: 'Concat',
  record: (inputs, attrs) => {
    const parts = Object.values(inputs);
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

/** Joins tensors along a new axis. */
const pack: Kernel = {
  name: 'Pack',
  record: (inputs, attrs) => {
    const parts = Object.values(inputs);
    const given = attrs.axis as number;
    const axis = given < 0 ? parts[0].shape.length + 1 + given : given;
    const widened = parts.map((part) => ({
      ...part,
      shape: [...part.shape.slice(0, axis), 1, ...part.shape.slice(axis)],
    }));
    const shape = widened[0].shape.map((size, i) => (i === axis ? parts.length : size));
    return { inputs: widened, attributes: { axis }, outputs: [{ shape, dtype: dtypeOf(parts[0]) }] };
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
    if (outputs.length === 1) return x.name;
    return g.ops('Split', [x.name, g.ints(outputs.map(({ shape }) => shape[axis]))], outputs.length, {
      axis,
    });
  },
};

const unpack: Kernel = {
  name: 'Unpack',
  record: ({ value }, attrs) => {
    const [axis] = util.parseAxisParam(attrs.axis as number, value.shape);
    const shape = value.shape.filter((_, i) => i !== axis);
    const outputs = Array.from({ length: value.shape[axis] }, () => ({ shape, dtype: dtypeOf(value) }));
    return { inputs: [value], attributes: { axis }, outputs };
  },
  lower: (g, [x], { attributes, outputs }) => {
    const { axis } = attributes as { axis: number };
    if (outputs.length === 1) return g.reshape(x.name, outputs[0].shape);
    const parts = g.ops('Split', [x.name, g.ints(outputs.map(() => 1))], outputs.length, { axis });
    return parts.map((part, i) => g.reshape(part, outputs[i].shape));
  },
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

/** Elements x[..., index, ...] along an axis; the first `batchDims` axes of both go together. */
const gather: Kernel = {
  name: 'GatherV2',
  record: ({ x, indices }, attrs) => {
    const [axis] = util.parseAxisParam(attrs.axis as number, x.shape);
    const batchDims = (attrs.batchDims as number | undefined) ?? 0;
    const shape = [...x.shape.slice(0, axis), ...indices.shape.slice(batchDims), ...x.shape.slice(axis + 1)];
    return { inputs: [x, indices], attributes: { axis, batchDims }, outputs: [{ shape, dtype: dtypeOf(x) }] };
  },
  lower: (g, [x, indices], { attributes, outputs: [{ shape }] }) => {
    const { axis, batchDims } = attributes as { axis: number; batchDims: number };
    const index = indices.dtype === 'int32' ? indices.name : g.cast(indices.name, 'int32');
    if (batchDims === 0) return g.op('Gather', [x.name, index], { axis });
    // Rows of a matrix: place (batch, outer, index) of [batch, outer, dim, inner].
    const batch = sizeOf(x.shape.slice(0, batchDims));
    const outer = sizeOf(x.shape.slice(batchDims, axis));
    const dim = x.shape[axis];
    const count = sizeOf(indices.shape) / batch;
    const rows = g.reshape(x.name, [batch * outer * dim, sizeOf(x.shape.slice(axis + 1))]);
    const starts = Array.from({ length: batch * outer }, (_, i) => i * dim);
    const places = g.op('Add', [
      g.reshape(index, [batch, 1, count]),
      g.constant('int32', [batch, outer, 1], starts),
    ]);
    return g.reshape(g.op('Gather', [rows, places], { axis: 0 }), shape);
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
    // Compared rather than ONNX's OneHot, to which a negative index counts from the end.
    const classes = g.constant('int32', [depth], [...Array(depth).keys()]);
    const column = g.reshape(indices.name, [...indices.shape, 1]);
    return g.op('Where', [
      g.op('Equal', [column, classes]),
      g.scalar(onValue, dtype),
      g.scalar(offValue, dtype),
    ]);
  },
};

/** Sums updates into zeros at index vectors, of which several may be the same. */
const scatterNd: Kernel = {
  name: 'ScatterNd',
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  lane: SERIAL_LANE,
  record: ({ indices, updates }, { shape }) => ({
    inputs: [indices, updates],
    outputs: [{ shape: shape as number[], dtype: dtypeOf(updates) }],
  }),
  lower: (g, [indices, updates], { outputs: [{ shape }] }) => {
    const zero = g.scalar(0, updates.dtype);
    const zeros = g.op('Expand', [zero, g.ints(shape)]);
    // A list of plain numbers is a list of vectors of length 1.
    const vectors = indices.shape.length > 1 ? indices.name : g.reshape(indices.name, [...indices.shape, 1]);
    return g.op('ScatterND', [zeros, g.cast(vectors, 'int64'), updates.name], { reduction: 'add' });
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
    // The values do not matter, so the operand is none of the graph's.
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
    // As in tfjs, a step of 1 (the default) counts down where the end is below the start.
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

export const shapeKernels: Kernel[] = [
  transpose,
  slice,
  stridedSlice,
  concat,
  pack,
  splitV,
  unpack,
  pad,
  tile,
  gather,
  oneHot,
  scatterNd,
  fill,
  filledLike('ZerosLike', 0),
  filledLike('OnesLike', 1),
  range,
];

/** @file Kernels that move elements: transposition, slices, concatenation, padding and repetition. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { tf } from '../../tfjs.js';
import { dtypeOf, type ListInputs, named, type Recording } from '../kernel.js';

export interface TransposeAttributes {
  perm: number[];
}

export interface SliceAttributes {
  starts: number[];
}

/** Attributes of Concat, Pack, SplitV and Unpack. */
export interface AxisAttributes {
  axis: number;
}

export interface PadAttributes {
  /** Elements before and after each axis. */
  widths: [number, number][];
  value: number;
}

export interface TileAttributes {
  reps: number[];
}

const transpose: Recording = {
  record: ({ x }, { perm }) => {
    const permutation = perm as number[];
    const shape = permutation.map((axis) => x.shape[axis]);
    return { inputs: [x], attributes: { perm: permutation }, outputs: [{ shape, dtype: dtypeOf(x) }] };
  },
};

const slice: Recording = {
  record: ({ x }, { begin, size }) => {
    const [starts, sizes] = tf.slice_util.parseSliceParams(
      x as Parameters<typeof tf.slice_util.parseSliceParams>[0],
      begin as number | number[],
      size as number | number[],
    );
    tf.slice_util.assertParamsValid(x as never, starts, sizes);
    return { inputs: [x], attributes: { starts }, outputs: [{ shape: sizes, dtype: dtypeOf(x) }] };
  },
};

/** Empty parts are not operands of the node, unless all are empty. */
const concat: Recording<ListInputs> = {
  record: (parts, attrs) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, parts[0].shape);
    tf.backend_util.assertParamsConsistent(
      parts.map((part) => part.shape),
      axis,
    );
    const shape = tf.backend_util.computeOutShape(
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
};

/** A shape with a new axis of length 1 at `place`, which counts from the end if negative. Throws if it is out of range. */
export function withAxis(shape: readonly number[], place: number): { axis: number; shape: number[] } {
  const rank = shape.length;
  const axis = place < 0 ? rank + 1 + place : place;
  tf.util.assert(
    axis >= 0 && axis <= rank,
    () => `Axis must be in the interval [${-(rank + 1)}, ${rank}], not ${place}`,
  );
  return { axis, shape: [...shape.slice(0, axis), 1, ...shape.slice(axis)] };
}

/** Joins tensors along a new axis, which the operands of the node have with length 1. */
const pack: Recording<ListInputs> = {
  record: (parts, attrs) => {
    const [{ shape, dtype }] = parts;
    for (const part of parts) {
      tf.util.assertShapesMatch(shape, part.shape, 'All tensors passed to stack must have matching shapes');
      tf.util.assert(dtype === part.dtype, () => 'All tensors passed to stack must have matching dtypes');
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
};

/** Splits a tensor into slices of given sizes along an axis. */
const splitV: Recording = {
  record: ({ x }, attrs) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, x.shape);
    const sizes = tf.backend_util.prepareSplitSize(
      x as never,
      attrs.numOrSizeSplits as number | number[],
      axis,
    );
    const outputs = sizes.map((size) => ({
      shape: x.shape.map((whole, i) => (i === axis ? size : whole)),
      dtype: dtypeOf(x),
    }));
    return { inputs: [x], attributes: { axis }, outputs };
  },
};

/** Splits a tensor into slices along an axis, which they lose in tfjs and keep with length 1 in the graph. */
const unpack: Recording = {
  record: ({ value }, attrs) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, value.shape);
    const shape = value.shape.map((size, i) => (i === axis ? 1 : size));
    const output = { shape, view: value.shape.filter((_, i) => i !== axis), dtype: dtypeOf(value) };
    const outputs = Array.from({ length: value.shape[axis] }, () => output);
    return { inputs: [value], attributes: { axis }, outputs };
  },
};

const pad: Recording = {
  record: ({ x }, { paddings, constantValue }) => {
    const widths = paddings as [number, number][];
    const shape = x.shape.map((size, axis) => size + widths[axis][0] + widths[axis][1]);
    return {
      inputs: [x],
      attributes: { widths, value: constantValue },
      outputs: [{ shape, dtype: dtypeOf(x) }],
    };
  },
};

const tile: Recording = {
  record: ({ x }, attrs) => {
    const reps = attrs.reps as number[];
    const shape = x.shape.map((size, axis) => size * reps[axis]);
    return { inputs: [x], attributes: { reps }, outputs: [{ shape, dtype: dtypeOf(x) }] };
  },
};

export const shapeKernels = named({
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Pack: pack,
  SplitV: splitV,
  Unpack: unpack,
  PadV2: pad,
  Tile: tile,
});

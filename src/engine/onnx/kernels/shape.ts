/** @file Kernels that move elements: transposition, slices, concatenation, padding and repetition. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { tf } from '../../tfjs.js';
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
    const [starts, sizes] = tf.slice_util.parseSliceParams(
      x as Parameters<typeof tf.slice_util.parseSliceParams>[0],
      begin as number | number[],
      size as number | number[],
    );
    tf.slice_util.assertParamsValid(x as never, starts, sizes);
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

export const concat: Kernel<ListInputs> = {
  name: 'Concat',
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
  tf.util.assert(
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
  lower: (g, parts, { attributes }) => {
    const { axis } = attributes as { axis: number };
    return g.op(
      'Concat',
      parts.map(({ name }) => name),
      { axis },
    );
  },
};

export const splitV: Kernel = {
  name: 'SplitV',
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
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, value.shape);
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

export const shapeKernels: Kernel<never>[] = [transpose, slice, concat, pack, splitV, unpack, pad, tile];

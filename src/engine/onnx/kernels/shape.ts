/** @file The lowerings of the kernels that move elements. */
import { sizeOf } from '../../../formats/host_tensor.js';
import {
  type AxisAttributes,
  type PadAttributes,
  shapeKernels as recorded,
  type SliceAttributes,
  type TileAttributes,
  type TransposeAttributes,
} from '../../record/kernels/shape.js';
import { type Lowering, lowered } from '../kernel.js';

const transpose: Lowering = (g, [x], { attributes, outputs: [{ shape }] }) => {
  const { perm } = attributes as TransposeAttributes;
  // Axes of length 1 may go anywhere: then nothing moves.
  const moved = perm.filter((axis) => x.shape[axis] !== 1);
  if (moved.every((axis, i) => i === 0 || moved[i - 1] < axis)) return g.reshape(x.name, shape);
  return g.op('Transpose', [x.name], { perm });
};

const slice: Lowering = (g, [x], { attributes, outputs: [{ shape }] }) => {
  const { starts } = attributes as SliceAttributes;
  const axes = shape.flatMap((size, axis) => (size === x.shape[axis] ? [] : [axis]));
  if (axes.length === 0) return x.name;
  const bounds = [axes.map((axis) => starts[axis]), axes.map((axis) => starts[axis] + shape[axis]), axes];
  return g.op('Slice', [x.name, ...bounds.map((list) => g.ints(list))]);
};

const concat: Lowering = (g, parts, { attributes, outputs: [{ shape }] }) => {
  const { axis } = attributes as AxisAttributes;
  if (parts.length === 1) return g.reshape(parts[0].name, shape);
  return g.op(
    'Concat',
    parts.map(({ name }) => name),
    { axis },
  );
};

const pack: Lowering = (g, parts, { attributes }) => {
  const { axis } = attributes as AxisAttributes;
  return g.op(
    'Concat',
    parts.map(({ name }) => name),
    { axis },
  );
};

const splitV: Lowering = (g, [x], { attributes, outputs }) => {
  const { axis } = attributes as AxisAttributes;
  return g.split(
    x.name,
    outputs.map(({ shape }) => shape[axis]),
    axis,
  );
};

const pad: Lowering = (g, [x], { attributes, outputs: [{ shape }] }) => {
  const { widths, value } = attributes as PadAttributes;
  if (sizeOf(x.shape) === 0) return g.op('Expand', [g.scalar(value, x.dtype), g.ints(shape)]);
  if (shape.length === 0) return x.name;
  const number = x.dtype === 'bool' ? g.cast(x.name, 'int32') : x.name;
  const amounts = g.ints([...widths.map(([before]) => before), ...widths.map(([, after]) => after)]);
  const padded = g.op('Pad', [number, amounts, g.scalar(value, x.dtype === 'float32' ? 'float32' : 'int32')]);
  return x.dtype === 'bool' ? g.cast(padded, 'bool') : padded;
};

const tile: Lowering = (g, [x], { attributes }) => {
  const { reps } = attributes as TileAttributes;
  return reps.every((count) => count === 1) ? x.name : g.op('Tile', [x.name, g.ints(reps)]);
};

export const shapeKernels = lowered(recorded, {
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Pack: pack,
  SplitV: splitV,
  Unpack: splitV,
  PadV2: pad,
  Tile: tile,
});

/** @file Lowerings of operations that move elements: transposition, slices, concatenation, padding and repetition. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { GraphNode } from '../../lazy/compiler.js';
import type { ValueInfo } from '../../lazy/value.js';
import type { Builder } from '../ir/builder.js';
import { coordinatesOf, elementAt } from '../ir/coordinates.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { constantOf, elementsOf, storedLike } from './elements.js';
import { joinRows } from './join.js';
import type { Lowering } from './lowering.js';

/** The elements of x at the coordinates that `move` gives for those of the result. */
function moved(builder: Builder, x: View, output: ValueInfo, move: (coordinates: Expr[]) => Expr[]): View {
  return elementsOf(builder, storedLike([x], output), (i) =>
    builder.load(x, elementAt(move(coordinatesOf(i, output.shape)), x.shape, builder.int(0))),
  );
}

const transpose: Lowering = (builder, [x], { attributes, outputs: [output] }) => {
  const { perm } = attributes as { perm: number[] };
  // Axes of length 1 may go anywhere: then nothing moves.
  const wide = perm.filter((axis) => x.shape[axis] !== 1);
  if (wide.every((axis, i) => i === 0 || wide[i - 1] < axis)) return builder.reshape(x, output.shape);
  return moved(builder, x, output, (coordinates) =>
    x.shape.map((_, axis) => coordinates[perm.indexOf(axis)]),
  );
};

const slice: Lowering = (builder, [x], { attributes, outputs: [output] }) => {
  const { starts } = attributes as { starts: number[] };
  if (sizeOf(output.shape) === x.tensor.size) return builder.reshape(x, output.shape);
  return moved(builder, x, output, (coordinates) => coordinates.map((c, axis) => c.add(starts[axis])));
};

const tile: Lowering = (builder, [x], { outputs: [output] }) => {
  if (sizeOf(output.shape) === x.tensor.size) return builder.reshape(x, output.shape);
  return moved(builder, x, output, (coordinates) => coordinates.map((c, axis) => c.mod(x.shape[axis])));
};

const pad: Lowering = (builder, [x], { attributes, outputs: [output] }) => {
  const { widths, value } = attributes as { widths: [number, number][]; value: number };
  if (widths.every(([before, after]) => before === 0 && after === 0)) return builder.reshape(x, output.shape);
  return elementsOf(builder, storedLike([x], output), (i) => {
    const coordinates = coordinatesOf(i, output.shape);
    if (x.tensor.size === 0) return constantOf(builder, value, output.dtype);
    const bounds = coordinates.flatMap((c, axis) => {
      const [before] = widths[axis];
      return [c.ge(before), c.lt(before + x.shape[axis])];
    });
    const isInside = bounds.reduce((all, bound) => all.and(bound));
    const source = elementAt(
      coordinates.map((c, axis) => c.sub(widths[axis][0])),
      x.shape,
      builder.int(0),
    );
    return isInside.select(builder.load(x, source.guarded(isInside, x.tensor.size)), value);
  });
};

/** Numbers of elements before and after an axis. */
function aroundAxis(shape: readonly number[], axis: number): { rows: number; inner: number } {
  return { rows: sizeOf(shape.slice(0, axis)), inner: sizeOf(shape.slice(axis + 1)) };
}

const concat: Lowering = (builder, operands, { attributes, outputs: [output] }) => {
  const { axis } = attributes as { axis: number };
  const { rows, inner } = aroundAxis(output.shape, axis);
  const parts = operands.map((view) => ({ view, width: view.shape[axis] * inner }));
  const filled = parts.filter(({ width }) => width > 0);
  return joinRows(builder, filled.length > 0 ? filled : parts.slice(0, 1), rows, output);
};

/** Slices that lie side by side along an axis. */
function split(builder: Builder, [x]: readonly View[], { attributes, outputs }: GraphNode): View[] {
  const { axis } = attributes as { axis: number };
  const { rows, inner } = aroundAxis(x.shape, axis);
  let start = 0;
  return outputs.map((output) => {
    const first = start;
    const width = output.shape[axis] * inner;
    start += width;
    if (outputs.length === 1) return builder.reshape(x, output.shape);
    return elementsOf(builder, storedLike([x], output), (i) => {
      const [row, column] = coordinatesOf(i, [rows, width]);
      return builder.load(
        x,
        row
          .mul(x.shape[axis] * inner)
          .add(column)
          .add(first),
      );
    });
  });
}

export const shapeLowerings: Readonly<Record<string, Lowering>> = {
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Pack: concat,
  SplitV: split,
  Unpack: split,
  PadV2: pad,
  Tile: tile,
};

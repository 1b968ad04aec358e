/** @file Joins tensors. */
import type { ValueInfo } from '../../lazy/value.js';
import type { Builder } from '../ir/builder.js';
import { coordinatesOf } from '../ir/coordinates.js';
import type { View } from '../ir/tensor.js';
import { elementsOf, storedLike } from './elements.js';

/** Parts that one expression joins, at most: it reads an element of each. */
const MAX_PARTS = 8;

/** A part of a joined tensor: rows of `width` elements. */
export interface Part {
  readonly view: View;
  readonly width: number;
}

function joinFew(builder: Builder, parts: readonly Part[], rows: number, output: ValueInfo): View {
  const starts: number[] = [];
  let width = 0;
  for (const part of parts) {
    starts.push(width);
    width += part.width;
  }
  const views = parts.map(({ view }) => view);
  return elementsOf(builder, storedLike(views, output), (i) => {
    const [row, column] = coordinatesOf(i, [rows, width]);
    const elements = parts.map((part, n) => {
      const isInside = column.ge(starts[n]).and(column.lt(starts[n] + part.width));
      const element = row.mul(part.width).add(column).sub(starts[n]);
      return builder.load(part.view, element.guarded(isInside, part.view.tensor.size));
    });
    return elements.reduceRight((rest, element, n) => column.lt(starts[n + 1]).select(element, rest));
  });
}

/** The parts side by side in each of `rows` rows. Many are joined in groups, so that no expression reads an element of each. */
export function joinRows(builder: Builder, parts: readonly Part[], rows: number, output: ValueInfo): View {
  if (parts.length === 1) return builder.reshape(parts[0].view, output.shape);
  if (parts.length <= MAX_PARTS) return joinFew(builder, parts, rows, output);
  const groups = Array.from({ length: Math.ceil(parts.length / MAX_PARTS) }, (_, n) => {
    const members = parts.slice(n * MAX_PARTS, (n + 1) * MAX_PARTS);
    const width = members.reduce((sum, part) => sum + part.width, 0);
    return { view: joinRows(builder, members, rows, { shape: [rows, width], dtype: output.dtype }), width };
  });
  return joinRows(builder, groups, rows, output);
}

/** The elements of all parts one after the other. */
export function join(builder: Builder, parts: readonly View[], output: ValueInfo): View {
  return joinRows(
    builder,
    parts.map((view) => ({ view, width: view.tensor.size })),
    1,
    output,
  );
}

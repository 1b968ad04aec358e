/** @file Lowerings of operations without operands. */
import { constantOf } from './elements.js';
import type { Lowering } from './lowering.js';

const fill: Lowering = (builder, _, { attributes, outputs: [output] }) => {
  const { value } = attributes as { value: number };
  return builder.map(output, () =>
    builder.pool.constant(value, output.dtype === 'float32' ? 'float' : 'int'),
  );
};

const filledWith =
  (value: number): Lowering =>
  (builder, _, { outputs: [output] }) =>
    builder.map(output, () => constantOf(builder, value, output.dtype));

const range: Lowering = (builder, _, { attributes, outputs: [output] }) => {
  const { from, by } = attributes as { from: number; by: number };
  return builder.map(output, (i) => {
    // Integers are exact where floats are not.
    if (Number.isInteger(from) && Number.isInteger(by)) return i.mul(by).add(from);
    return i.cast('float').mul(by).add(from);
  });
};

export const constantLowerings: Readonly<Record<string, Lowering>> = {
  Fill: fill,
  ZerosLike: filledWith(0),
  OnesLike: filledWith(1),
  Range: range,
};

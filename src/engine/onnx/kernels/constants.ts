/** @file The lowerings of the kernels without operands. */
import {
  type FillAttributes,
  type RangeAttributes,
  constantKernels as recorded,
} from '../../record/kernels/constants.js';
import { type Lowering, lowered } from '../kernel.js';

const fill: Lowering = (g, _, { attributes, outputs: [{ shape, dtype }] }) => {
  const { value } = attributes as FillAttributes;
  return g.op('Expand', [g.scalar(value, dtype), g.ints(shape)]);
};

const filledWith =
  (value: number): Lowering =>
  (g, _, { outputs: [{ shape, dtype }] }) =>
    g.op('Expand', [g.scalar(value, dtype), g.ints(shape)]);

const range: Lowering = (g, _, { attributes, outputs: [{ shape, dtype }] }) => {
  const { from, by } = attributes as RangeAttributes;
  const values = Array.from({ length: shape[0] }, (_, i) => from + i * by);
  return g.op('Identity', [g.constant(dtype, shape, values)]);
};

export const constantKernels = lowered(recorded, {
  Fill: fill,
  ZerosLike: filledWith(0),
  OnesLike: filledWith(1),
  Range: range,
});

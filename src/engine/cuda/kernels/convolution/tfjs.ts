/**
 * @file Lowerings of tfjs's convolution of maps [B, D, H, W, C] with any kernel, strides and padding, and of its gradients.
 * The model uses the faster one of cuDNN instead.
 */
import { sizeOf } from '../../../../formats/host_tensor.js';
import type { Builder } from '../../ir/builder.js';
import { coordinatesOf, elementAt } from '../../ir/coordinates.js';
import type { Expr } from '../../ir/expr.js';
import type { View } from '../../ir/tensor.js';
import { elementsOf } from '../elements.js';
import type { Lowering } from '../lowering.js';
import { type Position, readBy, readFor, type Taps } from './positions.js';

/** The geometry in the attributes of these operations. */
function tapsOf(attributes: object): Taps {
  const { strides, dilations, before } = attributes as Record<'strides' | 'dilations' | 'before', number[]>;
  return { stride: strides, dilation: dilations, padding: before };
}

const extentsOf = ({ shape }: View) => shape.slice(1, 4);

/** The element of maps at a position, times `factor`; 0 outside. */
function product(
  builder: Builder,
  maps: View,
  { coordinates: [batch, channel], position, isInside }: Position & { readonly coordinates: readonly Expr[] },
  factor: Expr,
): Expr {
  const element = elementAt([batch, ...position, channel], maps.shape, builder.int(0));
  const value = builder.load(maps, element.guarded(isInside, maps.tensor.size));
  return isInside.select(value.mul(factor), 0);
}

/** A sum of products over axes of these lengths, 0 if there is none. */
function sumOver(
  builder: Builder,
  shape: readonly number[],
  axes: readonly number[],
  body: (o: readonly Expr[], k: readonly Expr[]) => Expr,
): View {
  const info = { shape, dtype: 'float32' } as const;
  const count = sizeOf(axes);
  if (count === 0 || sizeOf(shape) === 0) return elementsOf(builder, info, () => builder.int(0));
  return builder.reduce(info, { operator: 'sum', count }, (o, k) =>
    body(coordinatesOf(o, shape), coordinatesOf(k, axes)),
  );
}

/** The element of a filter [D, H, W, in, out]. */
function weight(builder: Builder, filter: View, tap: readonly Expr[], channels: readonly Expr[]): Expr {
  return builder.load(filter, elementAt([...tap, ...channels], filter.shape, builder.int(0)));
}

/** x, filter → [B, D, H, W, out]. */
const conv: Lowering = (builder, [x, filter], { attributes, outputs: [{ shape }] }) =>
  sumOver(builder, shape, filter.shape.slice(0, 4), ([batch, ...rest], k) => {
    const [at, out] = [rest.slice(0, 3), rest[3]];
    const [tap, channel] = [k.slice(0, 3), k[3]];
    const place = readBy(at, tap, extentsOf(x), tapsOf(attributes));
    const factor = weight(builder, filter, tap, [channel, out]);
    return product(builder, x, { coordinates: [batch, channel], ...place }, factor);
  });

/** dy, filter → dx. */
const gradInput: Lowering = (builder, [dy, filter], { attributes, outputs: [{ shape }] }) => {
  const axes = [...filter.shape.slice(0, 3), filter.shape[4]];
  return sumOver(builder, shape, axes, ([batch, ...rest], k) => {
    const [at, channel] = [rest.slice(0, 3), rest[3]];
    const [tap, out] = [k.slice(0, 3), k[3]];
    const place = readFor(at, tap, extentsOf(dy), tapsOf(attributes));
    const factor = weight(builder, filter, tap, [channel, out]);
    return product(builder, dy, { coordinates: [batch, out], ...place }, factor);
  });
};

/** x, dy → dfilter. */
const gradFilter: Lowering = (builder, [x, dy], { attributes, outputs: [{ shape }] }) =>
  sumOver(builder, shape, dy.shape.slice(0, 4), (o, [batch, ...at]) => {
    const [tap, channel, out] = [o.slice(0, 3), o[3], o[4]];
    const place = readBy(at, tap, extentsOf(x), tapsOf(attributes));
    const factor = builder.load(dy, elementAt([batch, ...at, out], dy.shape, builder.int(0)));
    return product(builder, x, { coordinates: [batch, channel], ...place }, factor);
  });

export const conv3dLowerings: Readonly<Record<string, Lowering>> = {
  Conv3D: conv,
  Conv3DBackpropInputV2: gradInput,
  Conv3DBackpropFilterV2: gradFilter,
};

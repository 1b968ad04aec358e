/** @file Maximum over windows of maps [B, T, H, W, C], and its gradient. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { countWindows, type Windows } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import type { Builder } from '../ir/builder.js';
import { coordinatesOf, elementAt } from '../ir/coordinates.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { type Position, readBy } from './convolution/positions.js';
import { fusedKernel } from './fused_kernel.js';

/** The shape [B, T', H', W', C] of the maxima of x [B, T, H, W, C]. */
function resultOf({ shape }: { readonly shape: readonly number[] }, pool: Windows): number[] {
  return [shape[0], ...countWindows(shape, pool), shape[4]];
}

/** An element of a map at a position inside; `outside` elsewhere. */
function elementOr(
  b: Builder,
  map: View,
  { batch, position, isInside, channel }: Position & { readonly batch: Expr; readonly channel: Expr },
  outside: Expr,
): Expr {
  const element = elementAt([batch, ...position, channel], map.shape, b.int(0));
  return isInside.select(b.load(map, element.guarded(isInside, map.tensor.size)), outside);
}

export const maxPool3d = fusedKernel('MaxPool3d', {
  results: ({ x }, pool) => [floats(resultOf(x, pool))],
  lower: (b, { x }, pool) => {
    const shape = resultOf(x, pool);
    const info = { ...floats(shape), storage: x.tensor.storage };
    const [lowest, extents] = [b.float(Number.NEGATIVE_INFINITY), x.shape.slice(1, 4)];
    const maxima = b.reduce(info, { operator: 'max', count: sizeOf(pool.kernel) }, (o, k) => {
      const [batch, ...at] = coordinatesOf(o, shape);
      const channel = at.pop() as Expr;
      const place = readBy(at, coordinatesOf(k, pool.kernel), extents, pool);
      return elementOr(b, x, { batch, channel, ...place }, lowest);
    });
    return [maxima];
  },
});

/** The number of the first tap of each window that reads the maximum. */
function firstTaps(b: Builder, x: View, y: View, pool: Windows): View {
  const info = { shape: y.shape, dtype: 'int32' } as const;
  return b.reduce(info, { operator: 'argMax', count: sizeOf(pool.kernel) }, (o, k) => {
    const [batch, ...at] = coordinatesOf(o, y.shape);
    const channel = at.pop() as Expr;
    const place = readBy(at, coordinatesOf(k, pool.kernel), x.shape.slice(1, 4), pool);
    const value = elementOr(b, x, { batch, channel, ...place }, b.float(Number.NaN));
    return value.eq(b.load(y, o)).cast('int');
  });
}

/** The windows that hold the position `at` of x are those `back` before the last one. */
function windowOf(
  at: readonly Expr[],
  back: readonly Expr[],
  extents: readonly number[],
  { kernel, stride, padding }: Windows,
): Position & { readonly tap: readonly Expr[] } {
  const padded = at.map((c, i) => c.add(padding[i]));
  const position = padded.map((c, i) => c.div(stride[i]).sub(back[i]));
  const tap = padded.map((c, i) => c.mod(stride[i]).add(back[i].mul(stride[i])));
  const bounds = position.flatMap((c, i) => [c.ge(0), c.lt(extents[i]), tap[i].lt(kernel[i])]);
  return { position, tap, isInside: bounds.reduce((all, bound) => all.and(bound)) };
}

export const maxPool3dGrad = fusedKernel('MaxPool3dGrad', {
  results: ({ x }) => [floats(x.shape)],
  lower: (b, { dy, x, y }, pool) => {
    const firsts = firstTaps(b, x, y, pool);
    const windows = pool.kernel.map((n, i) => Math.ceil(n / pool.stride[i]));
    const info = { ...floats(x.shape), storage: dy.tensor.storage };
    const dx = b.reduce(info, { operator: 'sum', count: sizeOf(windows) }, (o, k) => {
      const [batch, ...at] = coordinatesOf(o, x.shape);
      const channel = at.pop() as Expr;
      const { tap, ...place } = windowOf(at, coordinatesOf(k, windows), y.shape.slice(1, 4), pool);
      const where = { batch, channel, ...place };
      const isFirst = elementOr(b, firsts, where, b.int(-1)).eq(elementAt(tap, pool.kernel, b.int(0)));
      return isFirst.select(elementOr(b, dy, where, b.float(0)), 0);
    });
    return [dx];
  },
});

/** @file Batch normalisation of maps [B, T, H, W, C] with the statistics of the batch, its gradients, and sums of columns. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { Builder } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { fusedKernel } from './fused_kernel.js';
import { sumOfRows } from './linear.js';
import { normStorage } from './precision.js';

/** The origin of the statistics is the mean of every 64th row. */
const ORIGIN_STEP = 64;

/** A map as rows of channels. */
interface Rows {
  readonly count: number;
  readonly channels: number;
}

function rowsOf({ shape }: { readonly shape: readonly number[] }): Rows {
  const channels = shape[shape.length - 1];
  return { count: sizeOf(shape) / channels, channels };
}

/** The sum over rows r of `term`, for each channel c: [C]. */
function sumOver(b: Builder, { count, channels }: Rows, term: (element: Expr, c: Expr) => Expr): View {
  return b.reduce(floats([channels]), { operator: 'sum', count }, (c, r) => term(r.mul(channels).add(c), c));
}

/** A vector of one number for each channel. */
const vector = (b: Builder, { channels }: Rows, body: (c: Expr) => Expr) => b.map(floats([channels]), body);

/**
 * Mean and biased variance of each channel, in one pass over the map: from the sums of the distances from an origin and of their
 * squares. The square of the distance between origin and mean is at most ORIGIN_STEP times the variance, so the difference of
 * the two sums loses few digits.
 */
function statistics(b: Builder, x: View): { readonly mean: View; readonly variance: View } {
  const rows = rowsOf(x);
  const { count, channels } = rows;
  const samples = Math.ceil(count / ORIGIN_STEP);
  const origins = sumOver(b, { count: samples, channels }, (element, c) =>
    b.load(x, element.sub(c).mul(ORIGIN_STEP).add(c)),
  );
  const origin = vector(b, rows, (c) => b.load(origins, c).mul(1 / samples));
  const distance = (element: Expr, c: Expr) => b.load(x, element).sub(b.load(origin, c));
  const sums = sumOver(b, rows, distance);
  const squares = sumOver(b, rows, (element, c) => distance(element, c).mul(distance(element, c)));
  const shift = (c: Expr) => b.load(sums, c).mul(1 / count);
  return {
    mean: vector(b, rows, (c) => b.load(origin, c).add(shift(c))),
    variance: vector(b, rows, (c) =>
      b
        .load(squares, c)
        .mul(1 / count)
        .sub(shift(c).mul(shift(c)))
        .max(0),
    ),
  };
}

/** Reciprocal standard deviations. */
const deviations = (b: Builder, rows: Rows, variance: View, eps: number) =>
  vector(b, rows, (c) => b.load(variance, c).add(eps).fn('rsqrt'));

export const batchNorm = fusedKernel('BatchNorm', {
  results: ({ x, weight }) => [floats(x.shape), floats(weight.shape), floats(weight.shape)],
  lower: (b, { x, weight, bias, residual }, { eps, relu }, policy) => {
    const rows = rowsOf(x);
    const { mean, variance } = statistics(b, x);
    const rstd = deviations(b, rows, variance, eps);
    const scale = vector(b, rows, (c) => b.load(weight, c).mul(b.load(rstd, c)));
    const storage = normStorage(policy, x.tensor.size);
    const y = b.map({ ...floats(x.shape), storage }, (i) => {
      const c = i.mod(rows.channels);
      const scaled = b.load(x, i).sub(b.load(mean, c)).mul(b.load(scale, c));
      const whole = scaled.add(b.load(bias, c));
      const value = residual ? whole.add(b.load(residual, i)) : whole;
      return relu ? value.max(0) : value;
    });
    return [y, mean, variance];
  },
});

export const batchNormGrad = fusedKernel('BatchNormGrad', {
  results: ({ x, weight }) => [floats(x.shape), floats(weight.shape), floats(weight.shape)],
  lower: (b, { dy, x, weight, mean, variance, y }, { eps }, policy) => {
    const rows = rowsOf(x);
    const slope = (i: Expr) => (y ? b.load(y, i).gt(0).select(b.load(dy, i), 0) : b.load(dy, i));
    const centred = (i: Expr, c: Expr) => b.load(x, i).sub(b.load(mean, c));
    const dbias = sumOver(b, rows, slope);
    const along = sumOver(b, rows, (i, c) => slope(i).mul(centred(i, c)));
    const rstd = deviations(b, rows, variance, eps);
    const dweight = vector(b, rows, (c) => b.load(along, c).mul(b.load(rstd, c)));
    // What is the same for all positions of a channel.
    const mid = vector(b, rows, (c) => b.load(dbias, c).mul(1 / rows.count));
    const tilt = vector(b, rows, (c) =>
      b
        .load(dweight, c)
        .mul(b.load(rstd, c))
        .mul(1 / rows.count),
    );
    const scale = vector(b, rows, (c) => b.load(weight, c).mul(b.load(rstd, c)));
    const dx = b.map({ ...floats(x.shape), storage: normStorage(policy, x.tensor.size) }, (i) => {
      const c = i.mod(rows.channels);
      const rest = slope(i)
        .sub(b.load(mid, c))
        .sub(centred(i, c).mul(b.load(tilt, c)));
      return rest.mul(b.load(scale, c));
    });
    return [dx, dweight, dbias];
  },
});

export const columnSums = fusedKernel('ColumnSums', {
  results: ({ x }) => [floats(x.shape.slice(1))],
  lower: (b, { x }) => [sumOfRows(b, x)],
});

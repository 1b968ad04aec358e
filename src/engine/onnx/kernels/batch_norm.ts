/** @file Batch normalisation of maps [B, T, H, W, C] with the statistics of the batch, its gradients, and sums of columns. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { GraphBuilder } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { sumOfRows } from './reduce.js';

interface Shaped {
  readonly shape: readonly number[];
}

/** The shape of a map as rows of channels. */
function rowsOf({ shape }: Shaped): [rows: number, channels: number] {
  const channels = shape[shape.length - 1];
  return [sizeOf(shape) / channels, channels];
}

/** Reciprocal standard deviations, [C]. */
const deviations = (g: GraphBuilder, variance: string, eps: number) =>
  g.op('Reciprocal', [g.op('Sqrt', [g.op('Add', [variance, g.scalar(eps)])])]);

/** The mean over rows, [C]. */
const meanOfRows = (g: GraphBuilder, x: string, shape: readonly number[]) =>
  g.op('Mul', [sumOfRows(g, x, shape), g.scalar(1 / shape[0])]);

export const batchNorm = fusedKernel('BatchNorm', {
  results: ({ x, weight }) => [floats(rowsOf(x), x.shape), floats(weight.shape), floats(weight.shape)],
  lower: (g, { x, weight, bias, residual }, { eps, relu }) => {
    const shape = rowsOf(x);
    const rows = g.view(x.name, shape);
    const mean = meanOfRows(g, rows, shape);
    const centred = g.op('Sub', [rows, mean]);
    const variance = meanOfRows(g, g.op('Mul', [centred, centred]), shape);
    const scale = g.op('Mul', [weight.name, deviations(g, variance, eps)]);
    let y = g.op('Add', [g.op('Mul', [centred, scale]), bias.name]);
    if (residual) y = g.op('Add', [y, g.view(residual.name, shape)]);
    return [relu ? g.op('Relu', [y]) : y, mean, variance];
  },
});

export const batchNormGrad = fusedKernel('BatchNormGrad', {
  results: ({ x, weight }) => [floats(rowsOf(x), x.shape), floats(weight.shape), floats(weight.shape)],
  lower: (g, { dy, x, weight, mean, variance, y }, { eps }) => {
    const shape = rowsOf(x);
    const [slopes, rows] = [g.view(dy.name, shape), g.view(x.name, shape)];
    const isPositive = y && g.op('Greater', [g.view(y.name, shape), g.scalar(0)]);
    const slope = isPositive ? g.op('Where', [isPositive, slopes, g.scalar(0)]) : slopes;
    const centred = g.op('Sub', [rows, mean.name]);
    const rstd = deviations(g, variance.name, eps);
    const dbias = sumOfRows(g, slope, shape);
    const dweight = g.op('Mul', [sumOfRows(g, g.op('Mul', [slope, centred]), shape), rstd]);
    // dx = scale·(slope − mid − tilt·centred), with what is the same for all positions of a channel.
    const scale = g.op('Mul', [weight.name, rstd]);
    const share = g.scalar(1 / shape[0]);
    const mid = g.op('Mul', [dbias, share]);
    const tilt = g.op('Mul', [g.op('Mul', [dweight, rstd]), share]);
    const rest = g.op('Sub', [g.op('Sub', [slope, mid]), g.op('Mul', [centred, tilt])]);
    return [g.op('Mul', [rest, scale]), dweight, dbias];
  },
});

export const columnSums = fusedKernel('ColumnSums', {
  results: ({ x }) => [floats(x.shape.slice(1))],
  lower: (g, { x }) => [sumOfRows(g, x.name, x.shape)],
});

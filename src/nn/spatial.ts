/** @file Convolutions of maps [B, T, H, W, C] that are linear layers, and weighted sums of gathered rows. */
import { tf } from '../engine/tfjs.js';
import { linear } from './functional.js';
import { fused } from './fused.js';
import { differentiable } from './tape.js';

/** 1×1×1 convolution; weight [out, in, 1, 1, 1], bias [out]. */
export function conv1x1x1(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  return linear(x, weight.reshape(weight.shape.slice(0, 2)), bias);
}

/**
 * Convolution whose stride is its kernel, as a linear layer on flattened patches; weight [out, in, t, h, w], bias [out]
 * (torch.nn.Conv3d). The axes of x [B, T, H, W, in] must be multiples of the kernel's. Returns [B, T/t, H/h, W/w, out].
 */
export function convPatches(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const [B, T, H, W, channels] = x.shape;
  const [outChannels, , t, h, w] = weight.shape;
  const grid = [T / t, H / h, W / w];
  // Columns and channels stay in one axis, so that the transposition has only six.
  const patches = x
    .reshape([B * grid[0], t, grid[1], h, grid[2], w * channels])
    .transpose([0, 2, 4, 1, 3, 5])
    .reshape([B * grid[0] * grid[1] * grid[2], t * h * w * channels]);
  const matrix = weight.transpose([0, 2, 3, 4, 1]).reshape([outChannels, -1]);
  return linear(patches, matrix, bias).reshape([B, ...grid, outChannels]);
}

/**
 * Transposed convolution with kernel and stride (1, 2, 2), which turns every position into a 2×2 patch and doubles H and W;
 * weight [in, out, 1, 2, 2], bias [out] (torch.nn.ConvTranspose3d).
 */
export function convTranspose1x2x2(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const [B, T, H, W] = x.shape;
  const [inChannels, outChannels] = weight.shape;
  const matrix = weight
    .reshape([inChannels, outChannels, 2, 2])
    .transpose([2, 3, 1, 0])
    .reshape([4 * outChannels, inChannels]);
  return linear(x, matrix, bias.tile([4]))
    .reshape([B * T * H, W, 2, 2, outChannels])
    .transpose([0, 2, 1, 3, 4])
    .reshape([B, T, 2 * H, 2 * W, outChannels]);
}

/**
 * y[n] = Σ_k weight[n, k] · table[index[n, k]] for table [R, D], index [N, K] (int32, in range) and weight [N, K].
 * Returns [N, D]. The decoder samples all levels at all points with one such sum.
 */
export function weightedRowSum(table: tf.Tensor, index: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const [N, K] = index.shape;
  // The columns follow each other, so that only one [N, D] product exists at a time.
  const column = (t: tf.Tensor, k: number) => t.slice([0, k], [N, 1]);
  const rowsAt = (t: tf.Tensor, indices: tf.Tensor, k: number) =>
    tf.gather(t, column(indices, k).reshape([N]));
  const accumulate = (term: (k: number) => tf.Tensor) => {
    let sum = tf.tidy(() => term(0));
    for (let k = 1; k < K; k++) {
      const next = tf.tidy(() => sum.add(term(k)));
      sum.dispose();
      sum = next;
    }
    return sum;
  };
  return differentiable(
    [table, weight],
    (save) => {
      save([table, index, weight]);
      const [sum] = fused('WeightedRowSum', { table, index, weight }, {}, () => [
        accumulate((k) => rowsAt(table, index, k).mul(column(weight, k))),
      ]);
      return sum;
    },
    (dy, [rows, indices, weights]) => {
      const [dtable] = fused(
        'WeightedRowSumGradTable',
        { index: indices, weight: weights, dy },
        { shape: rows.shape },
        () => [accumulate((k) => tf.scatterND(column(indices, k), dy.mul(column(weights, k)), rows.shape))],
      );
      const [dweight] = fused('WeightedRowSumGradWeight', { table: rows, index: indices, dy }, {}, () => {
        const columns = Array.from({ length: K }, (_, k) =>
          tf.tidy(() => rowsAt(rows, indices, k).mul(dy).sum(1, true)),
        );
        return [tf.concat(columns, 1)];
      });
      return [dtable, dweight];
    },
  );
}

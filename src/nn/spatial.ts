/** @file Convolution, up- and down-sampling of maps [B, T, H, W, C], and weighted sums of gathered rows. */
import { tf } from '../engine/tfjs.js';
import { linear } from './functional.js';
import { fused } from './fused.js';
import { differentiable } from './tape.js';

/** 3×3×3 convolution with padding 1, no bias; weight [out, in, 3, 3, 3] (torch.nn.Conv3d). */
export function conv3x3x3(x: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const toFilter = (w: tf.Tensor) => w.transpose([2, 3, 4, 1, 0]) as tf.Tensor5D;
  const attributes = { strides: [1, 1, 1], pad: 'same' };
  const run = (kernel: string, inputs: tf.NamedTensorMap, more: object) =>
    tf.engine().runKernel(kernel, inputs, { ...attributes, ...more }) as tf.Tensor;
  return differentiable(
    [x, weight],
    (save) => {
      save([x, weight]);
      const [y] = fused('Conv3x3x3', { x, weight }, {}, () => [
        tf.conv3d(x as tf.Tensor5D, toFilter(weight), 1, 'same'),
      ]);
      return y;
    },
    (dy, [input, w]) => {
      const [dx] = fused('Conv3x3x3GradInput', { dy, weight: w }, {}, () => [
        run('Conv3DBackpropInputV2', { dy, filter: toFilter(w) }, { inputShape: input.shape }),
      ]);
      const [dw] = fused('Conv3x3x3GradFilter', { x: input, dy }, {}, () => {
        const filterShape = [3, 3, 3, w.shape[1], w.shape[0]];
        const turned = run('Conv3DBackpropFilterV2', { x: input, dy }, { filterShape });
        return [turned.transpose([4, 3, 0, 1, 2])];
      });
      return [dx, dw];
    },
  );
}

/** 1×1×1 convolution without bias; weight [out, in, 1, 1, 1]. */
export function conv1x1x1(x: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  return linear(x, weight.reshape(weight.shape.slice(0, 2)));
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

/** Maximum over 2×2 positions of each time step; halves H and W. As in PyTorch, the first of equal values gets the gradient. */
export function maxPool1x2x2(x: tf.Tensor): tf.Tensor {
  const [B, T, H, W, C] = x.shape;
  const [h, w] = [Math.floor(H / 2), Math.floor(W / 2)];
  const even = h * 2 === H && w * 2 === W ? x : x.slice([0, 0, 0, 0, 0], [B, T, h * 2, w * 2, C]);
  const patches = even
    .reshape([B * T * h, 2, w, 2, C])
    .transpose([0, 2, 1, 3, 4])
    .reshape([B * T * h * w, 4, C]);
  return differentiable(
    [patches],
    (save) => {
      save([patches.argMax(1)]);
      return patches.max(1);
    },
    (dy, [first]) => {
      const places = tf.range(0, 4, 1, 'int32').reshape([1, 4, 1]);
      return [first.expandDims(1).equal(places).cast('float32').mul(dy.expandDims(1))];
    },
  ).reshape([B, T, h, w, C]);
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

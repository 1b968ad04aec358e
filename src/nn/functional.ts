/**
 * @file Differentiable functions that the layers are made of. Each saves only what its backward pass needs.
 *
 * Features are last in every tensor; weights have PyTorch's layouts.
 */
import { tf } from '../engine/tfjs.js';
import { sizeOf } from '../formats/host_tensor.js';
import { fused } from './fused.js';
import { differentiable } from './tape.js';

/** y = x·Wᵀ + b for x […, in], weight [out, in], bias [out]. Returns […, out]. */
export function linear(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const [outFeatures, inFeatures] = weight.shape;
  const rows = (t: tf.Tensor) => t.reshape([-1, inFeatures]) as tf.Tensor2D;
  const y = differentiable(
    bias ? [x, weight, bias] : [x, weight],
    (save) => {
      save([x, weight]);
      const [product] = fused('Linear', { x: rows(x), weight, bias }, {}, () => {
        const y = tf.matMul(rows(x), weight as tf.Tensor2D, false, true);
        return [bias ? y.add(bias) : y];
      });
      return product;
    },
    (dy, [input, w]) => {
      const [dx, dw, db] = fused('LinearGrad', { dy, x: rows(input), weight: w }, {}, () => [
        tf.matMul(dy as tf.Tensor2D, w as tf.Tensor2D),
        tf.matMul(dy as tf.Tensor2D, rows(input), true, false),
        bias && dy.sum(0),
      ]);
      return [dx.reshape(input.shape), dw, ...(bias && db ? [db] : [])];
    },
  );
  return y.reshape([...x.shape.slice(0, -1), outFeatures]);
}

/**
 * Layer normalisation over the last `axes` axes together, with optional weight and bias over the last axis
 * (torch.nn.LayerNorm; without weights torch.nn.functional.layer_norm).
 */
export function layerNorm(
  x: tf.Tensor,
  eps: number,
  { weight, bias, axes = 1 }: { weight?: tf.Tensor; bias?: tf.Tensor; axes?: number } = {},
): tf.Tensor {
  const width = sizeOf(x.shape.slice(-axes));
  const affine = weight !== undefined && bias !== undefined;
  const normalized = (x_NC: tf.Tensor) => {
    const centred = x_NC.sub(x_NC.mean(1, true));
    const rstd = centred.square().mean(1, true).add(eps).rsqrt();
    return { xhat: centred.mul(rstd), rstd };
  };
  return differentiable(
    affine ? [x, weight, bias] : [x],
    (save) => {
      save(affine ? [x, weight] : [x]);
      const [y] = fused('LayerNorm', affine ? { x, weight, bias } : { x }, { eps, width }, () => {
        const { xhat } = normalized(x.reshape([-1, width]));
        return [(affine ? xhat.mul(weight).add(bias) : xhat).reshape(x.shape)];
      });
      return y;
    },
    (dy, [input, w]) =>
      fused('LayerNormGrad', { dy, x: input, weight: w }, { eps, width }, () => {
        const dy_NC = dy.reshape([-1, width]);
        const { xhat, rstd } = normalized(input.reshape([-1, width]));
        const dxhat = w ? dy_NC.mul(w) : dy_NC;
        const dx = dxhat
          .sub(dxhat.mean(1, true))
          .sub(xhat.mul(dxhat.mul(xhat).mean(1, true)))
          .mul(rstd)
          .reshape(input.shape);
        return w ? [dx, dy_NC.mul(xhat).sum(0), dy_NC.sum(0)] : [dx];
      }).filter((grad) => grad !== undefined),
  );
}

/** Exact GELU, x·Φ(x) (torch.nn.GELU). */
export function gelu(x: tf.Tensor): tf.Tensor {
  const phi = (t: tf.Tensor) => t.mul(Math.SQRT1_2).erf().add(1).mul(0.5);
  return differentiable(
    [x],
    (save) => {
      save([x]);
      return fused('Gelu', { x }, {}, () => [x.mul(phi(x))])[0];
    },
    (dy, [t]) =>
      fused('GeluGrad', { dy, x: t }, {}, () => {
        const density = t
          .square()
          .mul(-0.5)
          .exp()
          .mul(1 / Math.sqrt(2 * Math.PI));
        return [dy.mul(phi(t).add(t.mul(density)))];
      }),
  );
}

/** Mean over one axis, which is removed. */
export function mean(x: tf.Tensor, axis: number): tf.Tensor {
  const count = x.shape[axis];
  return differentiable(
    [x],
    () => x.mean(axis),
    (dy) => {
      const reps = x.shape.map((_, i) => (i === axis ? count : 1));
      return [dy.div(count).expandDims(axis).tile(reps)];
    },
  );
}

/** max(x, 0) with derivative 0 at 0 (torch.nn.ReLU). */
export function relu(x: tf.Tensor): tf.Tensor {
  return differentiable(
    [x],
    (save) => {
      const y = x.relu();
      save([y]);
      return y;
    },
    (dy, [y]) => [reluGrad(dy, y)],
  );
}

/** Adds `residual` to y, and ends with a ReLU, if wanted. */
export function withResidual(
  y: tf.Tensor,
  { residual, relu }: { readonly residual?: tf.Tensor; readonly relu?: boolean },
): tf.Tensor {
  const sum = residual ? y.add(residual) : y;
  return relu ? sum.relu() : sum;
}

/** The gradient of a ReLU with result y: dy where y is positive, else 0. */
export function reluGrad(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return fused('ReluGrad', { dy, y }, {}, () => [dy.mul(y.step())])[0];
}

/** The sum over all axes but the last one, [C]. */
export function sumOfRows(x: tf.Tensor): tf.Tensor {
  const rows = x.reshape([-1, x.shape[x.rank - 1]]);
  return fused('ColumnSums', { x: rows }, {}, () => [sumAxisByAxis(x)])[0];
}

/** The sum over all axes but the last one. Short sums of short sums keep more digits than a single long one. */
export function sumAxisByAxis(x: tf.Tensor): tf.Tensor {
  let sum = x;
  while (sum.rank > 1) sum = sum.sum(sum.rank - 2);
  return sum;
}

/** 2ˣ. */
export function exp2(x: tf.Tensor): tf.Tensor {
  return x.mul(Math.LN2).exp();
}

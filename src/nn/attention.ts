/**
 * @file Scaled dot-product attention that keeps no probabilities: the backward pass computes them again.
 *
 * Shapes: S = batch · heads, N queries, M keys, D features of a head.
 */
import * as tf from '@tensorflow/tfjs';
import { differentiable } from './autograd.js';
import { fused } from './fused.js';

/** Scores are computed for as many heads at a time as fit into this many elements (32 MiB of float32: larger
 * blocks come as fresh pages from the system every time, which is slow). */
const MAX_SCORES = 2 ** 23;

export interface AttentionOptions {
  /** Factor on the queries, usually D^-0.5. */
  scale: number;
  /** Added to the scores, [S, N, M]; gets a gradient. */
  bias?: tf.Tensor;
  /** Dropout mask on the probabilities, [S, N, M], already divided by the keep rate; no gradient. */
  mask?: tf.Tensor;
  /** Scores computed at a time; fewer take less memory and change nothing else. */
  maxScores?: number;
}

/** softmax(scale·q·kᵀ + bias)·v for q [S, N, D], k and v [S, M, D]. Returns [S, N, D]. */
export function attention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  { scale, bias, mask, maxScores = MAX_SCORES }: AttentionOptions,
): tf.Tensor {
  const [S, N] = q.shape;
  const [, M] = k.shape;
  const step = Math.min(S, Math.max(1, Math.floor(maxScores / (N * M))));
  const inputs = bias ? [q, k, v, bias] : [q, k, v];

  return differentiable(
    inputs,
    (save) => {
      const [out] = fused('Attention', { q, k, v, bias, mask }, { scale }, () =>
        overHeads([...inputs, ...(mask ? [mask] : [])], step, ([q1, k1, v1, ...rest]) => {
          const b1 = bias ? rest.shift() : undefined;
          const p = probabilities(q1.mul(scale), k1, b1);
          return [tf.matMul(rest[0] ? p.mul(rest[0]) : p, v1)];
        }),
      );
      save([...inputs, out, ...(mask ? [mask] : [])]);
      return out;
    },
    (dy, saved) => {
      const [q0, k0, v0, ...others] = saved;
      const b0 = bias ? others.shift() : undefined;
      const [out, m0] = others;
      const operands = { dy, q: q0, k: k0, v: v0, out, bias: b0, mask: m0 };
      return fused('AttentionGrad', operands, { scale }, () =>
        overHeads([dy, ...saved], step, ([dy1, q1, k1, v1, ...rest]) => {
          const b1 = bias ? rest.shift() : undefined;
          const [out1, m1] = rest;
          const scaled = q1.mul(scale);
          const p = probabilities(scaled, k1, b1);
          const dp = tf.matMul(dy1, v1, false, true);
          // Σ p·dp of a row is dy·out: a sum over features instead of keys.
          const inner = dy1.mul(out1).sum(2, true);
          const ds = p.mul((m1 ? dp.mul(m1) : dp).sub(inner));
          return [
            tf.matMul(ds, k1).mul(scale),
            tf.matMul(ds, scaled, true, false),
            tf.matMul(m1 ? p.mul(m1) : p, dy1, true, false),
            ...(bias ? [ds] : []),
          ];
        }),
      );
    },
  );
}

function probabilities(scaledQ: tf.Tensor, k: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const scores = tf.matMul(scaledQ, k, false, true);
  return tf.softmax(bias ? scores.add(bias) : scores);
}

/** Applies `f` to slices of `step` along the first axis and joins the results. */
function overHeads(tensors: tf.Tensor[], step: number, f: (slices: tf.Tensor[]) => tf.Tensor[]): tf.Tensor[] {
  const [S] = tensors[0].shape;
  if (step >= S) return f(tensors);
  const parts: tf.Tensor[][] = [];
  for (let i = 0; i < S; i += step) {
    const count = Math.min(step, S - i);
    parts.push(
      tf.tidy(() =>
        f(tensors.map((t) => t.slice([i, ...t.shape.slice(1).map(() => 0)], [count, ...t.shape.slice(1)]))),
      ),
    );
  }
  return parts[0].map((_, n) => tf.concat(parts.map((part) => part[n])));
}

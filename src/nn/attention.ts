/**
 * @file Scaled dot-product attention that saves no probabilities: the backward pass computes them again.
 *
 * Shapes: S = batch · heads, N queries, M keys, D features of a head.
 */
import { tf } from '../engine/tfjs.js';
import { hasFusedKernel, runFusedKernel } from './fused.js';
import { differentiable } from './tape.js';

/**
 * Maximum number of scores computed at a time, 32 MiB of float32. Larger blocks are slow, because the system allocates fresh
 * pages for them each time.
 */
const MAX_SCORES = 2 ** 23;

export interface AttentionOptions {
  /** Factor on the queries, usually D^-0.5. */
  scale: number;
  /** Added to the scores, [S, N, M]; differentiable. */
  bias?: tf.Tensor;
  /** Dropout mask on the probabilities, [S, N, M], already divided by the keep rate; a constant. */
  mask?: tf.Tensor;
  /** Maximum number of scores computed at a time. A lower limit takes less memory and gives the same result. */
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
      const [out] = overHeads([...inputs, ...(mask ? [mask] : [])], step, ([q1, k1, v1, ...rest]) => {
        const b1 = bias ? rest.shift() : undefined;
        const p = probabilities(q1.mul(scale), k1, b1);
        return [tf.matMul(rest[0] ? p.mul(rest[0]) : p, v1)];
      });
      save([...inputs, ...(mask ? [mask] : [])]);
      return out;
    },
    (dy, saved) =>
      overHeads([dy, ...saved], step, ([dy1, q1, k1, v1, ...rest]) => {
        const b1 = bias ? rest.shift() : undefined;
        const m1 = rest[0];
        const scaled = q1.mul(scale);
        const p = probabilities(scaled, k1, b1);
        const dp = tf.matMul(dy1, v1, false, true);
        const dropped = m1 ? dp.mul(m1) : dp;
        const ds = p.mul(dropped.sub(dropped.mul(p).sum(2, true)));
        return [
          tf.matMul(ds, k1).mul(scale),
          tf.matMul(ds, scaled, true, false),
          tf.matMul(m1 ? p.mul(m1) : p, dy1, true, false),
          ...(bias ? [ds] : []),
        ];
      }),
  );
}

/**
 * Self-attention from joint projections [B, N, 3·C]: queries, then keys, then values, each split over the heads. Returns
 * [B, N, C].
 */
export function selfAttention(qkv: tf.Tensor, heads: number, options: AttentionOptions): tf.Tensor {
  const [B, N] = qkv.shape;
  if (!hasFusedKernel('SelfAttention')) {
    const [q, k, v] = splitHeads(qkv, heads);
    return joinHeads(attention(q, k, v, options), B, N);
  }
  const { scale, bias, mask } = options;
  const attributes = { heads, scale };
  /** The optional inputs of the gradient that exist, in the order in which they are saved. */
  let names: ('statistics' | 'bias' | 'mask')[] = [];
  return differentiable(
    bias ? [qkv, bias] : [qkv],
    (save) => {
      const [out, statistics] = runFusedKernel('SelfAttention', { qkv, bias, mask }, attributes);
      const optional = { statistics, bias, mask };
      names = (['statistics', 'bias', 'mask'] as const).filter((name) => optional[name]);
      save([qkv, out, ...names.map((name) => optional[name] as tf.Tensor)]);
      return out;
    },
    (dy, [projections, out, ...rest]) => {
      const optional = Object.fromEntries(names.map((name, i) => [name, rest[i]]));
      const inputs = { dy, qkv: projections, out, ...optional };
      return runFusedKernel('SelfAttentionGrad', inputs, attributes).filter((grad) => grad !== undefined);
    },
  );
}

/** Splits joint projections [B, N, 3·C] into queries, keys and values [B·heads, N, D]. */
export function splitHeads(qkv: tf.Tensor, heads: number): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const [B, N, width] = qkv.shape;
  const D = width / 3 / heads;
  const projections = qkv
    .reshape([B, N, 3, heads, D])
    .transpose([2, 0, 3, 1, 4])
    .reshape([3, B * heads, N, D]);
  const projection = (i: number) =>
    projections.slice([i, 0, 0, 0], [1, -1, -1, -1]).reshape([B * heads, N, D]);
  return [projection(0), projection(1), projection(2)];
}

/** Joins heads [B·heads, N, D] to [B, N, heads·D]. */
export function joinHeads(x_SND: tf.Tensor, B: number, N: number): tf.Tensor {
  const [S, , D] = x_SND.shape;
  return x_SND
    .reshape([B, S / B, N, D])
    .transpose([0, 2, 1, 3])
    .reshape([B, N, (S / B) * D]);
}

/** softmax(q·kᵀ + bias) for scaled queries. */
function probabilities(scaledQ: tf.Tensor, k: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const scores = tf.matMul(scaledQ, k, false, true);
  return tf.softmax(bias ? scores.add(bias) : scores);
}

/** Applies `f` to slices of `step` along the first axis and joins the results. */
function overHeads(tensors: tf.Tensor[], step: number, f: (slices: tf.Tensor[]) => tf.Tensor[]): tf.Tensor[] {
  const [S] = tensors[0].shape;
  if (step >= S) return f(tensors);
  const chunks: tf.Tensor[][] = [];
  for (let i = 0; i < S; i += step) {
    const count = Math.min(step, S - i);
    chunks.push(
      tf.tidy(() =>
        f(tensors.map((t) => t.slice([i, ...t.shape.slice(1).map(() => 0)], [count, ...t.shape.slice(1)]))),
      ),
    );
  }
  return chunks[0].map((_, n) => tf.concat(chunks.map((chunk) => chunk[n])));
}

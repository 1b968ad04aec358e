/**
 * @file Self-attention from joint projections, without keeping probabilities.
 *
 * Shapes: B clips, H heads, N tokens, D features of a head, S = B·H. Projections are [B, N, 3·H·D] with queries, keys and
 * values one after the other, results [B, N, H·D].
 */
import { floats } from '../../record/kernel.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { Float } from '../model_format.js';
import { evenTasks, type Matrix, multiply } from './products.js';
import { splitEvenly } from './tiling.js';

/** Up to this many scores the heads are computed together, above it one after the other. */
const MAX_SCORES = 2 ** 21;
/** Scores that are computed at a time in the forward pass, so that they stay in the cache. */
const SCORES_AT_ONCE = 2 ** 20;
/** Tasks that the products of one head's scores are split into, in the forward and in the backward pass. */
const FORWARD_TASKS = 4;
const BACKWARD_TASKS = 8;

function sizes(projection: { shape: readonly number[] }, heads: number) {
  const [B, N, width] = projection.shape;
  return { B, N, H: heads, D: width / heads / 3, areHeadsTogether: B * heads * N * N <= MAX_SCORES };
}

/** Splits [B, N, parts·H, D] into `parts` tensors [S, N, D]. */
export function splitTogether(g: GraphBuilder, x: string, parts: number, shape: readonly number[]): string[] {
  const [B, N, H, D] = shape;
  const turned = g.op('Transpose', [g.view(x, [B, N, parts, H, D])], { perm: [2, 0, 3, 1, 4] });
  return g.split(turned, new Array(parts).fill(1), 0).map((part) => g.reshape(part, [B * H, N, D]));
}

/** Splits [B, N, heads, D] into a matrix [N, D] for each clip and head, clip by clip. */
function splitHeads(g: GraphBuilder, x: string, [B, N, heads, D]: readonly number[]): Matrix[] {
  const clips = g.split(g.view(x, [B, N, heads, D]), new Array(B).fill(1), 0);
  const parts = clips.flatMap((clip) => g.split(clip, new Array(heads).fill(1), 2));
  return parts.map((part) => ({ name: g.reshape(part, [N, D]), shape: [N, D] }));
}

/** Splits a mask [S, N, N] into one [N, N] for each clip and head. */
function splitMask(g: GraphBuilder, { name, shape: [S, N] }: Operand): string[] {
  return g.split(name, new Array(S).fill(1), 0).map((head) => g.reshape(head, [N, N]));
}

/** Splits the rows of a matrix. */
function splitRows(g: GraphBuilder, { name, shape: [, columns] }: Matrix, counts: number[]): Matrix[] {
  return g.split(name, counts, 0).map((part, i) => ({ name: part, shape: [counts[i], columns] }));
}

/** softmax(scale·q·kᵀ) for q [R, D] and k [N, D]: [R, N]. */
function probabilities(
  g: GraphBuilder,
  q: Matrix,
  k: Matrix,
  options: { scale: number; tasks: number },
): string {
  return g.op('Softmax', [multiply(g, q, k, { transB: true, ...options })], { axis: -1 });
}

/** softmax(scale·q·kᵀ + bias) of all heads. */
function probabilitiesTogether(g: GraphBuilder, [q, k]: string[], scale: number, bias?: Operand): string {
  const scores = g.contrib('FusedMatMul', [q, k], { transB: 1, alpha: new Float(scale) });
  return g.op('Softmax', [bias ? g.op('Add', [scores, bias.name]) : scores], { axis: -1 });
}

/** The output [N, D] of one head. */
function headOutput(
  g: GraphBuilder,
  { q, k, v, mask }: { q: Matrix; k: Matrix; v: Matrix; mask?: string },
  scale: number,
): string {
  const [N] = q.shape;
  const counts = splitEvenly(N, SCORES_AT_ONCE / N);
  const masks = mask ? g.split(mask, counts, 0) : [];
  const outs = splitRows(g, q, counts).map((rows, i) => {
    const tasks = evenTasks(counts[i], FORWARD_TASKS);
    const p = probabilities(g, rows, k, { scale, tasks });
    const kept = { name: mask ? g.op('Mul', [p, masks[i]]) : p, shape: [counts[i], N] };
    return multiply(g, kept, v, { tasks });
  });
  return g.concat(outs, 0);
}

export const selfAttention = fusedKernel('SelfAttention', {
  results: ({ qkv }, { heads }) => {
    const { B, N, H, D } = sizes(qkv, heads);
    return [floats([B, N, H, D], [B, N, H * D])];
  },
  lower: (g, { qkv, bias, mask }, { heads, scale }) => {
    const { B, N, H, D, areHeadsTogether } = sizes(qkv, heads);
    if (bias || areHeadsTogether) {
      const [q, k, v] = splitTogether(g, qkv.name, 3, [B, N, H, D]);
      const p = probabilitiesTogether(g, [q, k], scale, bias);
      const out = g.op('MatMul', [mask ? g.op('Mul', [p, mask.name]) : p, v]);
      return [g.op('Transpose', [g.reshape(out, [B, H, N, D])], { perm: [0, 2, 1, 3] })];
    }
    const parts = splitHeads(g, qkv.name, [B, N, 3 * H, D]);
    const masks = mask ? splitMask(g, mask) : [];
    const clips = Array.from({ length: B }, (_, b) => {
      const outs = Array.from({ length: H }, (_, h) => {
        const [q, k, v] = [0, 1, 2].map((part) => parts[(3 * b + part) * H + h]);
        return g.reshape(headOutput(g, { q, k, v, mask: masks[b * H + h] }, scale), [1, N, 1, D]);
      });
      return g.concat(outs, 2);
    });
    return [g.concat(clips, 0)];
  },
});

/** Σ out·dy over the features of each head, which equals Σ p·dp: [B, N, H, 1]. */
export function innerProducts(g: GraphBuilder, out: Operand, dy: Operand, shape: readonly number[]): string {
  const product = g.op('Mul', [g.view(dy.name, shape), g.view(out.name, shape)]);
  return g.op('ReduceSum', [product, g.ints([3])], { keepdims: 1 });
}

/** The gradients of all heads together: of the projections, and of the scores. */
function gradientsTogether(
  g: GraphBuilder,
  { dy, qkv, out, bias, mask }: Record<'dy' | 'qkv' | 'out', Operand> & { bias?: Operand; mask?: Operand },
  { heads, scale }: { heads: number; scale: number },
): [dqkv: string, ds: string] {
  const { B, N, H, D } = sizes(qkv, heads);
  const shape = [B, N, H, D];
  const alpha = new Float(scale);
  const innerOfHeads = innerProducts(g, out, dy, shape);
  const [q, k, v] = splitTogether(g, qkv.name, 3, shape);
  const [dyOfHeads] = splitTogether(g, dy.name, 1, shape);
  const [inner] = splitTogether(g, innerOfHeads, 1, [B, N, H, 1]);
  const p = probabilitiesTogether(g, [q, k], scale, bias);
  const product = g.contrib('FusedMatMul', [dyOfHeads, v], { transB: 1 });
  const dp = mask ? g.op('Mul', [product, mask.name]) : product;
  const ds = g.op('Mul', [p, g.op('Sub', [dp, inner])]);
  const dq = g.contrib('FusedMatMul', [ds, k], { alpha });
  const dk = g.contrib('FusedMatMul', [ds, q], { transA: 1, alpha });
  const kept = mask ? g.op('Mul', [p, mask.name]) : p;
  const dv = g.contrib('FusedMatMul', [kept, dyOfHeads], { transA: 1 });
  const parts = [dq, dk, dv].map((part) => g.reshape(part, [1, B, H, N, D]));
  return [g.op('Transpose', [g.concat(parts, 0)], { perm: [1, 3, 0, 2, 4] }), ds];
}

/** The operands of the gradient of one head. */
interface HeadOperands {
  q: Matrix;
  k: Matrix;
  v: Matrix;
  dy: Matrix;
  /** Σ out·dy of each row, [N, 1]. */
  inner: Matrix;
  mask?: string;
}

/** dp − inner, or dp·mask − inner, for dp = dy·vᵀ: [N, N]. */
function centredSlopes(g: GraphBuilder, { v, dy, inner, mask }: HeadOperands, tasks: number): string {
  const [N, D] = v.shape;
  if (mask) {
    const dp = g.op('Mul', [multiply(g, dy, v, { transB: true, tasks }), mask]);
    return g.op('Sub', [dp, inner.name]);
  }
  // The product [dy, −inner]·[v, 1]ᵀ saves a pass over N² numbers.
  const ones = g.op('Expand', [g.scalar(1), g.ints([N, 1])]);
  const shape = [N, D + 1];
  const rows = { name: g.concat([dy.name, g.op('Neg', [inner.name])], 1), shape };
  return multiply(g, rows, { name: g.concat([v.name, ones], 1), shape }, { transB: true, tasks });
}

/** The gradient of one head: those of its queries, keys and values side by side, [1, N, 3, 1, D]. */
function headGradient(g: GraphBuilder, operands: HeadOperands, scale: number): string {
  const { q, k, dy, mask } = operands;
  const [N, D] = q.shape;
  const tasks = evenTasks(N, BACKWARD_TASKS);
  const square = (name: string) => ({ name, shape: [N, N] });
  const p = probabilities(g, q, k, { scale, tasks });
  const ds = square(g.op('Mul', [p, centredSlopes(g, operands, tasks)]));
  const kept = square(mask ? g.op('Mul', [p, mask]) : p);
  const grads = [
    multiply(g, ds, k, { scale, tasks }),
    multiply(g, ds, q, { transA: true, scale, tasks }),
    multiply(g, kept, dy, { transA: true, tasks }),
  ];
  return g.concat(
    grads.map((grad) => g.reshape(grad, [1, N, 1, 1, D])),
    2,
  );
}

export const selfAttentionGrad = fusedKernel('SelfAttentionGrad', {
  results: ({ qkv, bias }, { heads }) => {
    const { B, N, H, D } = sizes(qkv, heads);
    const dqkv = floats([B, N, 3, H, D], qkv.shape);
    return bias ? [dqkv, floats(bias.shape)] : [dqkv];
  },
  lower: (g, operands, { heads, scale }) => {
    const { dy, qkv, out, bias, mask } = operands;
    const { B, N, H, D, areHeadsTogether } = sizes(qkv, heads);
    if (bias || areHeadsTogether) {
      const [dqkv, ds] = gradientsTogether(g, operands, { heads, scale });
      return bias ? [dqkv, ds] : [dqkv];
    }
    const parts = splitHeads(g, qkv.name, [B, N, 3 * H, D]);
    const dys = splitHeads(g, dy.name, [B, N, H, D]);
    const inners = splitHeads(g, innerProducts(g, out, dy, [B, N, H, D]), [B, N, H, 1]);
    const masks = mask ? splitMask(g, mask) : [];
    const clips = Array.from({ length: B }, (_, b) => {
      // The runtime computes the operands of a Concat one after the other, so the scores of two heads never exist together.
      const grads = Array.from({ length: H }, (_, h) => {
        const [q, k, v] = [0, 1, 2].map((part) => parts[(3 * b + part) * H + h]);
        const n = b * H + h;
        return headGradient(g, { q, k, v, dy: dys[n], inner: inners[n], mask: masks[n] }, scale);
      });
      return g.concat(grads, 3);
    });
    return [g.concat(clips, 0)];
  },
});

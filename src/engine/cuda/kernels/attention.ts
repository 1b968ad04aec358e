/**
 * @file Self-attention from joint projections, as a plan of cuDNN or as matrix products and a softmax. The backward pass computes
 * the probabilities again.
 *
 * Shapes: B clips, H heads, N tokens, D features of a head, S = B·H. Projections are [B, N, 3, H, D]: queries, keys and values.
 * Products read them, and write their results, where they lie.
 */
import type { AttentionAttributes } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import type { Builder, Row } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { plannedAttention, plannedAttentionGradient } from './attention_plan.js';
import { fusedKernel } from './fused_kernel.js';
import { type Matrices, productStep } from './gemm.js';
import { join } from './join.js';
import type { Policy } from './lowering.js';
import { type FloatStorage, operandStorage } from './precision.js';

/** Scores that exist at a time by default, unless one clip has more: 256 MiB of float32. */
const MAX_SCORES = 2 ** 26;

type Part = 'query' | 'key' | 'value';
const PARTS: readonly Part[] = ['query', 'key', 'value'];

/** What lowerings of attention share. */
interface Attention {
  readonly b: Builder;
  readonly policy: Policy;
  readonly B: number;
  readonly N: number;
  readonly H: number;
  readonly D: number;
  readonly scale: number;
  /** Storage of the operands and of the results. */
  readonly storage: FloatStorage;
  /** The projections in that storage. */
  readonly qkv: View;
  /** [S, N, N]. */
  readonly bias?: View;
  readonly mask?: View;
}

/** Neighbouring clips that are computed together. */
interface Clips {
  readonly first: number;
  readonly count: number;
}

interface Operands {
  readonly qkv: View;
  readonly bias?: View;
  readonly mask?: View;
}

function attentionOf(
  b: Builder,
  { qkv, bias, mask }: Operands,
  { heads: H, scale }: AttentionAttributes,
  policy: Policy,
): Attention {
  const [B, N, width] = qkv.shape;
  const D = width / H / 3;
  const storage = operandStorage(policy, H * N * N * D);
  return { b, policy, B, N, H, D, scale, storage, qkv: b.stored(qkv, storage), bias, mask };
}

/** Plans of cuDNN compute attention in bfloat16 without a bias and a mask. */
const canUsePlan = ({ storage, bias, mask }: Attention) => storage === 'bfloat16' && !bias && !mask;

/** Splits the clips so that the scores fit. With a bias, whose gradient is as large as all scores, they stay together. */
function groupsOf({ B, H, N, bias }: Attention, maxScores: number): Clips[] {
  const count = bias ? B : Math.min(B, Math.max(1, Math.floor(maxScores / (H * N * N))));
  return Array.from({ length: Math.ceil(B / count) }, (_, group) => {
    const first = group * count;
    return { first, count: Math.min(count, B - first) };
  });
}

const clipsOf = ({ count }: Clips) => Array.from({ length: count }, (_, clip) => clip);

/** The matrices [N, D] of a clip's heads in a tensor [clips, N, parts, H, D]. */
function headsOf({ N, H, D }: Attention, clip: number, { part = 0, parts = 1 } = {}) {
  return { offset: (clip * N * parts + part) * H * D, stride: parts * H * D, batchStride: D };
}

function projectionOf(attention: Attention, clip: number, part: Part): Matrices {
  return { view: attention.qkv, ...headsOf(attention, clip, { part: PARTS.indexOf(part), parts: 3 }) };
}

/** The matrices [N, N] of a clip's heads in a tensor [clips, H, N, N]. */
function squaresOf({ N, H }: Attention, clip: number) {
  return { offset: clip * H * N * N, stride: N, batchStride: N * N };
}

/** alpha·a·bᵀ of the heads of each clip: float32 [clips, H, N, N]. */
function squareProducts(
  attention: Attention,
  clips: Clips,
  operands: (clip: number) => { readonly a: Matrices; readonly b: Matrices; readonly alpha?: number },
): View {
  const { b: builder, policy, N, H, D } = attention;
  const steps = clipsOf(clips).map((clip) => {
    const { a, b, alpha } = operands(clips.first + clip);
    const c = { result: 0, storage: 'float32' as const, ...squaresOf(attention, clip) };
    return productStep(policy, { M: N, N, K: D, batch: H, a, b: { ...b, isTransposed: true }, c, alpha });
  });
  return builder.call([floats([clips.count, H, N, N])], steps)[0];
}

/** scale·q·kᵀ. */
function scoresOf(attention: Attention, clips: Clips): View {
  return squareProducts(attention, clips, (clip) => ({
    a: projectionOf(attention, clip, 'query'),
    b: projectionOf(attention, clip, 'key'),
    alpha: attention.scale,
  }));
}

/**
 * An element of the softmax of scores + bias, its product with the mask, and the logarithm of the row's sum of exponentials;
 * `first` is the first clip of the scores.
 */
function probability(
  { b, N, H, bias, mask }: Attention,
  row: Row,
  { scores, first }: { scores: View; first: number },
) {
  const ofAll = row.element.add(first * H * N * N);
  const score = b.load(scores, row.element);
  const biased = bias ? score.add(b.load(bias, ofAll)) : score;
  const largest = row.max(biased);
  const e = biased.sub(largest).fn('exp');
  const sum = row.sum(e);
  const masked = (value: Expr) => (mask ? value.mul(b.load(mask, ofAll)) : value);
  return { p: e.div(sum), masked, statistic: largest.add(sum.fn('log')) };
}

/** The outputs [clips, N, H·D] of some clips, and their statistics [clips, H, N]. */
function outputOf(attention: Attention, clips: Clips): { out: View; statistics: View } {
  const { b, policy, N, H, D, storage } = attention;
  const scores = scoresOf(attention, clips);
  const [kept, statistics] = b.rows(clips.count * H * N, N, (row) => {
    const { p, masked, statistic } = probability(attention, row, { scores, first: clips.first });
    return [
      { ...floats(scores.shape), storage, body: masked(p) },
      { ...floats([clips.count, H, N]), isPerRow: true, body: statistic },
    ];
  });
  const steps = clipsOf(clips).map((clip) =>
    productStep(policy, {
      M: N,
      N: D,
      K: N,
      batch: H,
      a: { view: kept, ...squaresOf(attention, clip) },
      b: projectionOf(attention, clips.first + clip, 'value'),
      c: { result: 0, storage, ...headsOf(attention, clip) },
    }),
  );
  const [out] = b.call([{ ...floats([clips.count, N, H * D]), storage }], steps);
  return { out, statistics };
}

/** The gradient of the output [B, N, H·D], and Σ out·dy of each head [B, N, H]. */
interface Slopes {
  readonly dy: View;
  readonly inner: View;
}

/** The gradients of the projections [clips, N, 3·H·D] and, with a bias, of the bias in float32. */
function gradientsOf(
  attention: Attention,
  clips: Clips,
  { dy, inner }: Slopes,
): { dqkv: View; dbias?: View } {
  const { b, N, H, storage, bias } = attention;
  const { first, count } = clips;
  const scores = scoresOf(attention, clips);
  const products = squareProducts(attention, clips, (clip) => ({
    a: { view: dy, ...headsOf(attention, clip) },
    b: projectionOf(attention, clip, 'value'),
  }));
  const [kept, ds, dbias] = b.rows(count * H * N, N, (row) => {
    const { p, masked } = probability(attention, row, { scores, first });
    const [clip, head, token] = [row.r.div(H * N), row.r.div(N).mod(H), row.r.mod(N)];
    const centre = b.load(inner, clip.add(first).mul(N).add(token).mul(H).add(head));
    const body = p.mul(masked(b.load(products, row.element)).sub(centre));
    return [
      { ...floats(scores.shape), storage, body: masked(p) },
      { ...floats(scores.shape), storage, body },
      ...(bias ? [{ ...floats(bias.shape), body }] : []),
    ];
  });
  return { dqkv: projectionGradients(attention, clips, { kept, ds, dy }), dbias };
}

/** The products that give the gradients of queries, keys and values: [clips, N, 3·H·D]. */
function projectionGradients(
  attention: Attention,
  clips: Clips,
  { kept, ds, dy }: Record<'kept' | 'ds' | 'dy', View>,
): View {
  const { b, policy, N, H, D, scale, storage } = attention;
  const steps = clipsOf(clips).flatMap((clip) => {
    const ofAll = clips.first + clip;
    const square = squaresOf(attention, clip);
    const product = (part: Part, a: Matrices, factor: Matrices, alpha: number) => {
      const place = headsOf(attention, clip, { part: PARTS.indexOf(part), parts: 3 });
      const c = { result: 0, storage, ...place };
      return productStep(policy, { M: N, N: D, K: N, batch: H, a, b: factor, c, alpha });
    };
    return [
      product('query', { view: ds, ...square }, projectionOf(attention, ofAll, 'key'), scale),
      product(
        'key',
        { view: ds, ...square, isTransposed: true },
        projectionOf(attention, ofAll, 'query'),
        scale,
      ),
      product(
        'value',
        { view: kept, ...square, isTransposed: true },
        { view: dy, ...headsOf(attention, ofAll) },
        1,
      ),
    ];
  });
  return b.call([{ ...floats([clips.count, N, 3 * H * D]), storage }], steps)[0];
}

/** Makes the kernels of attention and its gradient. */
export function attentionKernels(maxScores = MAX_SCORES) {
  const selfAttention = fusedKernel('SelfAttention', {
    results: ({ qkv }, { heads }) => {
      const [B, N, width] = qkv.shape;
      return [floats([B, N, width / 3]), floats([B, heads, N])];
    },
    lower: (b, operands, attributes, policy) => {
      const attention = attentionOf(b, operands, attributes, policy);
      const { B, N, H, D } = attention;
      const planned = canUsePlan(attention) && plannedAttention(b, policy, attention);
      if (planned) return [planned.out, planned.statistics];
      const groups = groupsOf(attention, maxScores).map((clips) => outputOf(attention, clips));
      const outs = groups.map(({ out }) => out);
      const statistics = groups.map((group) => group.statistics);
      return [join(b, outs, floats([B, N, H * D])), join(b, statistics, floats([B, H, N]))];
    },
  });

  const selfAttentionGrad = fusedKernel('SelfAttentionGrad', {
    results: ({ qkv, bias }) => (bias ? [floats(qkv.shape), floats(bias.shape)] : [floats(qkv.shape)]),
    lower: (b, { dy, out, statistics, ...operands }, attributes, policy) => {
      const attention = attentionOf(b, operands, attributes, policy);
      const { B, N, H, D, storage, bias } = attention;
      if (statistics && canUsePlan(attention)) {
        const dqkv = plannedAttentionGradient(b, policy, { ...attention, dy, out, statistics });
        if (dqkv) return [dqkv];
      }
      // Σ out·dy over the features of each head, which equals Σ p·dp.
      const inner = b.reduce(floats([B, N, H]), { operator: 'sum', count: D }, (o, k) => {
        const element = o.mul(D).add(k);
        return b.load(out, element).mul(b.load(dy, element));
      });
      const slopes = { dy: b.stored(dy, storage), inner };
      const grads = groupsOf(attention, maxScores).map((clips) => gradientsOf(attention, clips, slopes));
      const parts = grads.map(({ dqkv }) => dqkv);
      const dqkv = join(b, parts, floats([B, N, 3 * H * D]));
      return bias ? [dqkv, grads[0].dbias] : [dqkv];
    },
  });
  return { selfAttention, selfAttentionGrad };
}

export const { selfAttention, selfAttentionGrad } = attentionKernels();

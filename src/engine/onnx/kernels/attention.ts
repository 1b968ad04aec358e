/**
 * @file Self-attention from joint projections, without keeping probabilities.
 *
 * Shapes: B clips, H heads, N tokens, D features of a head, S = B·H. Projections are [B, N, 3·H·D] with queries, keys and
 * values one after the other, results [B, N, H·D].
 */
import {
  type AttentionAttributes,
  FUSED_KERNELS,
  type FusedKernels,
  type KernelSignature,
} from '../../kernel_contract.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import {
  type CompositeKernel,
  floats,
  fusedKernel,
  type Kernel,
  type ListInputs,
  signatureKernel,
} from '../kernel.js';
import { Float } from '../model_format.js';

/** Up to this many scores the heads are computed together, above it one after the other. */
const MAX_SCORES = 2 ** 21;

function sizes(projection: { shape: readonly number[] }, heads: number) {
  const [B, N, width] = projection.shape;
  return { B, N, H: heads, D: width / heads / 3 };
}

/** softmax(scale·q·kᵀ + bias) */
function probabilities(
  g: GraphBuilder,
  [q, k]: readonly [string, string],
  scale: number,
  bias?: Operand,
): string {
  const scores = g.contrib('FusedMatMul', [q, k], { transB: 1, alpha: new Float(scale) });
  return g.op('Softmax', [bias ? g.op('Add', [scores, bias.name]) : scores], { axis: -1 });
}

/** Splits [B, N, parts·H, D] into `parts` tensors [S, N, D]. */
function splitTogether(g: GraphBuilder, x: string, parts: number, shape: readonly number[]): string[] {
  const [B, N, H, D] = shape;
  const turned = g.op('Transpose', [g.view(x, [B, N, parts, H, D])], { perm: [2, 0, 3, 1, 4] });
  return g.split(turned, new Array(parts).fill(1), 0).map((part) => g.reshape(part, [B * H, N, D]));
}

export const selfAttention = fusedKernel('SelfAttention', {
  results: ({ qkv }, { heads }) => {
    const { B, N, H, D } = sizes(qkv, heads);
    return [floats([B, N, H, D], [B, N, H * D])];
  },
  lower: (g, { qkv, bias, mask }, { heads, scale }) => {
    const { B, N, H, D } = sizes(qkv, heads);
    if (bias || B * H * N * N <= MAX_SCORES) {
      const [q, k, v] = splitTogether(g, qkv.name, 3, [B, N, H, D]);
      const p = probabilities(g, [q, k], scale, bias);
      const out = g.op('MatMul', [mask ? g.op('Mul', [p, mask.name]) : p, v]);
      return [g.op('Transpose', [g.reshape(out, [B, H, N, D])], { perm: [0, 2, 1, 3] })];
    }
    const projections = splitHeads(g, qkv.name, [B, N, 3 * H, D]);
    const masks = mask ? splitMask(g, mask.name, [B, H, N]) : [];
    const outs = Array.from({ length: H }, (_, h) => {
      const p = probabilities(g, [projections[h], projections[H + h]], scale);
      const out = g.op('MatMul', [mask ? g.op('Mul', [p, masks[h]]) : p, projections[2 * H + h]]);
      return g.reshape(out, [B, N, 1, D]);
    });
    return [g.concat(outs, 2)];
  },
});

/** Splits [B, N, heads, D] into one [B, N, D] for each head. */
function splitHeads(g: GraphBuilder, x: string, shape: readonly number[]): string[] {
  const [B, N, heads, D] = shape;
  const whole = g.view(x, shape);
  return g.split(whole, new Array(heads).fill(1), 2).map((head) => g.reshape(head, [B, N, D]));
}

/** Splits a mask [S, N, N] into one [B, N, N] for each head. */
function splitMask(g: GraphBuilder, mask: string, [B, H, N]: readonly number[]): string[] {
  const whole = g.view(mask, [B, H, N, N]);
  return g.split(whole, new Array(H).fill(1), 1).map((head) => g.reshape(head, [B, N, N]));
}

/** The operands of the gradient of one head, or of several side by side. */
interface HeadOperands {
  q: string;
  k: string;
  v: string;
  dy: string;
  /** Σ out·dy of each row, which equals Σ p·dp. */
  inner: string;
  bias?: Operand;
  mask?: string;
}

/** Gradients dq, dk, dv and those of the scores, ds. */
function gradients(g: GraphBuilder, { q, k, v, dy, inner, bias, mask }: HeadOperands, scale: number) {
  const alpha = new Float(scale);
  const p = probabilities(g, [q, k], scale, bias);
  const product = g.contrib('FusedMatMul', [dy, v], { transB: 1 });
  const dp = mask ? g.op('Mul', [product, mask]) : product;
  const ds = g.op('Mul', [p, g.op('Sub', [dp, inner])]);
  const dq = g.contrib('FusedMatMul', [ds, k], { alpha });
  const dk = g.contrib('FusedMatMul', [ds, q], { transA: 1, alpha });
  const dv = g.contrib('FusedMatMul', [mask ? g.op('Mul', [p, mask]) : p, dy], { transA: 1 });
  return { dq, dk, dv, ds };
}

/** Σ out·dy over the features of each head: [B, N, H, 1]. */
function innerProducts(g: GraphBuilder, out: Operand, dy: Operand, shape: readonly number[]): string {
  const product = g.op('Mul', [g.view(dy.name, shape), g.view(out.name, shape)]);
  return g.op('ReduceSum', [product, g.ints([3])], { keepdims: 1 });
}

/** The gradient of all heads together. */
const gradTogether = signatureKernel<FusedKernels['SelfAttentionGrad']>(
  'SelfAttentionGradTogether',
  FUSED_KERNELS.SelfAttentionGrad,
  {
    results: ({ qkv, bias }, { heads }) => {
      const { B, N, H, D } = sizes(qkv, heads);
      const dqkv = floats([B, N, 3, H, D], qkv.shape);
      return bias ? [dqkv, floats(bias.shape)] : [dqkv];
    },
    lower: (g, { dy, qkv, out, bias, mask }, { heads, scale }) => {
      const { B, N, H, D } = sizes(qkv, heads);
      const shape = [B, N, H, D];
      const innerOfHeads = innerProducts(g, out, dy, shape);
      const [q, k, v] = splitTogether(g, qkv.name, 3, shape);
      const [dyOfHeads] = splitTogether(g, dy.name, 1, shape);
      const [inner] = splitTogether(g, innerOfHeads, 1, [B, N, H, 1]);
      const operands = { q, k, v, dy: dyOfHeads, inner, bias, mask: mask?.name };
      const { dq, dk, dv, ds } = gradients(g, operands, scale);
      const parts = [dq, dk, dv].map((part) => g.reshape(part, [1, B, H, N, D]));
      const dqkv = g.op('Transpose', [g.concat(parts, 0)], { perm: [1, 3, 0, 2, 4] });
      return bias ? [dqkv, ds] : [dqkv];
    },
  },
);

interface SplitSignature extends KernelSignature {
  inputs: 'dy' | 'qkv' | 'out';
  optional: 'mask';
  attributes: AttentionAttributes;
  results: unknown[];
}

/** The operands of every head: H each of q, k, v, dy [B, N, D], inner [B, N, 1] and, with a mask, mask [B, N, N]. */
const gradSplit = signatureKernel<SplitSignature>(
  'SelfAttentionGradSplit',
  { dy: 'required', qkv: 'required', out: 'required', mask: 'optional' },
  {
    results: ({ qkv, mask }, { heads }) => {
      const { B, N, H, D } = sizes(qkv, heads);
      const each = (count: number, shape: number[]) => Array.from({ length: count }, () => floats(shape));
      return [...each(4 * H, [B, N, D]), ...each(H, [B, N, 1]), ...(mask ? each(H, [B, N, N]) : [])];
    },
    lower: (g, { dy, qkv, out, mask }, { heads }) => {
      const { B, N, H, D } = sizes(qkv, heads);
      return [
        ...splitHeads(g, qkv.name, [B, N, 3 * H, D]),
        ...splitHeads(g, dy.name, [B, N, H, D]),
        ...splitHeads(g, innerProducts(g, out, dy, [B, N, H, D]), [B, N, H, 1]),
        ...(mask ? splitMask(g, mask.name, [B, H, N]) : []),
      ];
    },
  },
);

interface HeadSignature extends KernelSignature {
  inputs: 'q' | 'k' | 'v' | 'dy' | 'inner';
  optional: 'mask';
  attributes: { readonly scale: number };
  results: [dq: unknown, dk: unknown, dv: unknown];
}

/** The gradient of one head. */
const gradHead = signatureKernel<HeadSignature>(
  'SelfAttentionGradHead',
  { q: 'required', k: 'required', v: 'required', dy: 'required', inner: 'required', mask: 'optional' },
  {
    results: ({ q, k, v }) => [floats(q.shape), floats(k.shape), floats(v.shape)],
    lower: (g, { q, k, v, dy, inner, mask }, { scale }) => {
      const names = { q: q.name, k: k.name, v: v.name, dy: dy.name, inner: inner.name, mask: mask?.name };
      const { dq, dk, dv } = gradients(g, names, scale);
      return [dq, dk, dv];
    },
  },
);

/** Joins the gradients [B, N, D] of all heads' queries, then keys, then values to [B, N, 3·H·D]. */
const gradJoin: Kernel<ListInputs, object> = {
  name: 'SelfAttentionGradJoin',
  record: (grads) => {
    const [B, N, D] = grads[0].shape;
    const count = grads.length;
    return { inputs: grads, outputs: [floats([B, N, count, D], [B, N, count * D])] };
  },
  lower: (g, grads) => {
    const widened = grads.map(({ name, shape: [B, N, D] }) => g.reshape(name, [B, N, 1, D]));
    return g.concat(widened, 2);
  },
};

/** The kernels that `selfAttentionGrad` records. */
export const attentionGradKernels: readonly Kernel<never, never>[] = [
  gradTogether,
  gradSplit,
  gradHead,
  gradJoin,
];

/**
 * The gradient of SelfAttention. Many scores are computed head by head, in graphs of their own: so the scores of two heads
 * never exist together, and all heads of all blocks share one compiled graph.
 */
export const selfAttentionGrad: CompositeKernel<'SelfAttentionGrad'> = {
  name: 'SelfAttentionGrad',
  run(recorder, inputs, attributes) {
    const { B, N, H } = sizes(inputs.qkv, attributes.heads);
    if (inputs.bias || B * H * N * N <= MAX_SCORES) return recorder.record(gradTogether, inputs, attributes);
    const operands = recorder.record(gradSplit, inputs, attributes);
    const grads = Array.from({ length: H }, (_, h) => {
      const [q, k, v, dy, inner, mask] = [0, 1, 2, 3, 4, 5].map((kind) => operands[kind * H + h]);
      recorder.graphBreak();
      return recorder.record(gradHead, { q, k, v, dy, inner, mask }, { scale: attributes.scale });
    });
    recorder.graphBreak();
    const ordered = [0, 1, 2].flatMap((kind) => grads.map((grad) => grad[kind]));
    const dqkv = recorder.record(gradJoin, ordered, {});
    for (const { dataId } of [...operands, ...ordered]) recorder.disposeData(dataId);
    return dqkv;
  },
};

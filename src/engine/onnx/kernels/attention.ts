/**
 * @file Self-attention from joint projections, without keeping probabilities.
 *
 * Shapes: B clips, H heads, N tokens, D features of a head, S = B·H. Projections are [B, N, 3·H·D] with queries, keys and
 * values one after the other, results [B, N, H·D].
 */
import type { TensorInfo } from '@tensorflow/tfjs';
import type { ValueInfo } from '../../lazy/value.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import type { Kernel, KernelProgram } from '../kernel.js';
import { Float } from '../model_format.js';

/** Up to this many scores the heads are computed together, above it one after the other. */
const MAX_SCORES = 2 ** 21;

interface AttentionAttributes {
  heads: number;
  scale: number;
  hasBias: boolean;
}

type Inputs = Record<string, TensorInfo | undefined>;

function operandsOf(inputs: Inputs, names: readonly string[]): TensorInfo[] {
  return names.flatMap((name) => inputs[name] ?? []);
}

function sizes(projection: { shape: readonly number[] }, heads: number) {
  const [B, N, width] = projection.shape;
  return { B, N, H: heads, D: width / heads / 3 };
}

/** softmax(scale·q·kᵀ + bias) */
function probabilities(g: GraphBuilder, q: string, k: string, scale: number, bias?: Operand): string {
  const scores = g.contrib('FusedMatMul', [q, k], { transB: 1, alpha: new Float(scale) });
  return g.op('Softmax', [bias ? g.op('Add', [scores, bias.name]) : scores], { axis: -1 });
}

/** [B, N, parts·H, D] to [S, N, D] each. */
function splitTogether(g: GraphBuilder, x: string, parts: number, shape: readonly number[]): string[] {
  const [B, N, H, D] = shape;
  const turned = g.op('Transpose', [g.view(x, [B, N, parts, H, D])], { perm: [2, 0, 3, 1, 4] });
  return g.split(turned, new Array(parts).fill(1), 0).map((piece) => g.reshape(piece, [B * H, N, D]));
}

/** {qkv, bias? [S, N, N], mask? [S, N, N]} → [B, N, H·D]. */
const forward: Kernel = {
  name: 'SelfAttention',
  record: (inputs, { heads, scale }) => {
    const qkv = inputs.qkv;
    const { B, N, H, D } = sizes(qkv, heads as number);
    return {
      inputs: operandsOf(inputs, ['qkv', 'bias', 'mask']),
      attributes: { heads, scale, hasBias: inputs.bias !== undefined },
      outputs: [{ shape: [B, N, H, D], view: [B, N, H * D], dtype: 'float32' }],
    };
  },
  lower: (g, [qkv, ...rest], { attributes }) => {
    const { heads, scale, hasBias } = attributes as AttentionAttributes;
    const { B, N, H, D } = sizes(qkv, heads);
    const bias = hasBias ? rest.shift() : undefined;
    const [mask] = rest;
    if (bias || B * H * N * N <= MAX_SCORES) {
      const [q, k, v] = splitTogether(g, qkv.name, 3, [B, N, H, D]);
      const p = probabilities(g, q, k, scale, bias);
      const out = g.op('MatMul', [mask ? g.op('Mul', [p, mask.name]) : p, v]);
      return g.op('Transpose', [g.reshape(out, [B, H, N, D])], { perm: [0, 2, 1, 3] });
    }
    const pieces = splitHeads(g, qkv.name, [B, N, 3 * H, D]);
    const masks = mask ? splitMask(g, mask.name, [B, H, N]) : [];
    const outs = Array.from({ length: H }, (_, h) => {
      const p = probabilities(g, pieces[h], pieces[H + h], scale);
      const out = g.op('MatMul', [mask ? g.op('Mul', [p, masks[h]]) : p, pieces[2 * H + h]]);
      return g.reshape(out, [B, N, 1, D]);
    });
    return g.concat(outs, 2);
  },
};

/** [B, N, heads, D] to `heads` pieces [B, N, D]. */
function splitHeads(g: GraphBuilder, x: string, shape: readonly number[]): string[] {
  const [B, N, heads, D] = shape;
  const whole = g.view(x, shape);
  return g.split(whole, new Array(heads).fill(1), 2).map((piece) => g.reshape(piece, [B, N, D]));
}

/** A mask [S, N, N] to one [B, N, N] for each head. */
function splitMask(g: GraphBuilder, mask: string, [B, H, N]: readonly number[]): string[] {
  const whole = g.view(mask, [B, H, N, N]);
  return g.split(whole, new Array(H).fill(1), 1).map((piece) => g.reshape(piece, [B, N, N]));
}

/** Gradients dq, dk, dv, ds of heads side by side; `inner` is Σ out·dy of a row, which is also Σ p·dp. */
function gradients(
  g: GraphBuilder,
  [q, k, v, dy, inner]: readonly string[],
  scale: number,
  bias?: Operand,
  mask?: string,
): string[] {
  const alpha = new Float(scale);
  const p = probabilities(g, q, k, scale, bias);
  const product = g.contrib('FusedMatMul', [dy, v], { transB: 1 });
  const dp = mask ? g.op('Mul', [product, mask]) : product;
  const ds = g.op('Mul', [p, g.op('Sub', [dp, inner])]);
  return [
    g.contrib('FusedMatMul', [ds, k], { alpha }),
    g.contrib('FusedMatMul', [ds, q], { transA: 1, alpha }),
    g.contrib('FusedMatMul', [mask ? g.op('Mul', [p, mask]) : p, dy], { transA: 1 }),
    ds,
  ];
}

/** Σ out·dy over the features of each head: [B, N, H, 1]. */
function innerProducts(g: GraphBuilder, out: Operand, dy: Operand, shape: readonly number[]): string {
  const product = g.op('Mul', [g.view(dy.name, shape), g.view(out.name, shape)]);
  return g.op('ReduceSum', [product, g.ints([3])], { keepdims: 1 });
}

/** All heads together: {dy, qkv, out, bias?, mask?} → dqkv, dbias?. */
const gradTogether: Kernel = {
  name: 'SelfAttentionGradTogether',
  record: (inputs, { heads, scale }) => {
    const { qkv, bias } = inputs;
    const { B, N, H, D } = sizes(qkv, heads as number);
    return {
      inputs: operandsOf(inputs, ['dy', 'qkv', 'out', 'bias', 'mask']),
      attributes: { heads, scale, hasBias: bias !== undefined },
      outputs: [
        { shape: [B, N, 3, H, D], view: qkv.shape, dtype: 'float32' },
        ...(bias ? [{ shape: bias.shape, dtype: 'float32' as const }] : []),
      ],
    };
  },
  lower: (g, [dy, qkv, out, ...rest], { attributes }) => {
    const { heads, scale, hasBias } = attributes as AttentionAttributes;
    const { B, N, H, D } = sizes(qkv, heads);
    const bias = hasBias ? rest.shift() : undefined;
    const [mask] = rest;
    const shape = [B, N, H, D];
    const inner = innerProducts(g, out, dy, shape);
    const operands = [
      ...splitTogether(g, qkv.name, 3, shape),
      ...splitTogether(g, dy.name, 1, shape),
      ...splitTogether(g, inner, 1, [B, N, H, 1]),
    ];
    const [dq, dk, dv, ds] = gradients(g, operands, scale, bias, mask?.name);
    const parts = [dq, dk, dv].map((part) => g.reshape(part, [1, B, H, N, D]));
    const turned = g.op('Transpose', [g.concat(parts, 0)], { perm: [1, 3, 0, 2, 4] });
    return bias ? [turned, ds] : [turned];
  },
};

/** {dy, qkv, out, mask?} → for each head q, k, v, dy [B, N, D], Σ out·dy [B, N, 1] and its mask. */
const gradSplit: Kernel = {
  name: 'SelfAttentionGradSplit',
  record: (inputs, { heads }) => {
    const { B, N, H, D } = sizes(inputs.qkv, heads as number);
    const each = (count: number, shape: number[]) =>
      Array.from({ length: count }, (): ValueInfo => ({ shape, dtype: 'float32' }));
    const masks = inputs.mask ? each(H, [B, N, N]) : [];
    return {
      inputs: operandsOf(inputs, ['dy', 'qkv', 'out', 'mask']),
      attributes: { heads },
      outputs: [...each(4 * H, [B, N, D]), ...each(H, [B, N, 1]), ...masks],
    };
  },
  lower: (g, [dy, qkv, out, mask], { attributes }) => {
    const { heads } = attributes as AttentionAttributes;
    const { B, N, H, D } = sizes(qkv, heads);
    return [
      ...splitHeads(g, qkv.name, [B, N, 3 * H, D]),
      ...splitHeads(g, dy.name, [B, N, H, D]),
      ...splitHeads(g, innerProducts(g, out, dy, [B, N, H, D]), [B, N, H, 1]),
      ...(mask ? splitMask(g, mask.name, [B, H, N]) : []),
    ];
  },
};

/** One head: {q, k, v, dy, inner, mask?} → dq, dk, dv. */
const gradHead: Kernel = {
  name: 'SelfAttentionGradHead',
  record: (inputs, { scale }) => {
    const { q, k, v } = inputs;
    return {
      inputs: operandsOf(inputs, ['q', 'k', 'v', 'dy', 'inner', 'mask']),
      attributes: { scale },
      outputs: [q, k, v].map(({ shape }) => ({ shape, dtype: 'float32' })),
    };
  },
  lower: (g, operands, { attributes }) => {
    const { scale } = attributes as AttentionAttributes;
    const names = operands.map(({ name }) => name);
    return gradients(g, names, scale, undefined, names[5]).slice(0, 3);
  },
};

/** The heads' gradients, those of all queries first, then keys, then values: → [B, N, 3·H·D]. */
const gradJoin: Kernel = {
  name: 'SelfAttentionGradJoin',
  record: (inputs) => {
    const parts = Object.values(inputs);
    const [B, N, D] = parts[0].shape;
    const shape = [B, N, parts.length, D];
    return { inputs: parts, outputs: [{ shape, view: [B, N, parts.length * D], dtype: 'float32' }] };
  },
  lower: (g, parts) => {
    const widened = parts.map(({ name, shape: [B, N, D] }) => g.reshape(name, [B, N, 1, D]));
    return g.concat(widened, 2);
  },
};

export const attentionKernels: Kernel[] = [forward, gradTogether, gradSplit, gradHead, gradJoin];

/**
 * The gradient of SelfAttention: {dy, qkv, out, bias?, mask?} → dqkv, dbias?. Many scores are computed head by head, in
 * graphs of their own: so there are never those of two heads, and all heads of all blocks share one compiled graph.
 */
export const selfAttentionGrad: KernelProgram = {
  name: 'SelfAttentionGrad',
  run(recorder, inputs, attrs) {
    const { B, N, H } = sizes(inputs.qkv, attrs.heads as number);
    if (inputs.bias || B * H * N * N <= MAX_SCORES) return recorder.record(gradTogether, inputs, attrs);
    const pieces = recorder.record(gradSplit, inputs, attrs);
    const heads = Array.from({ length: H }, (_, h) => {
      recorder.mark();
      const [q, k, v, dy, inner, mask] = [0, 1, 2, 3, 4, 5].map((kind) => pieces[kind * H + h]);
      return recorder.record(gradHead, mask ? { q, k, v, dy, inner, mask } : { q, k, v, dy, inner }, attrs);
    });
    recorder.mark();
    const parts = [0, 1, 2].flatMap((kind) => heads.map((head) => head[kind]));
    const whole = recorder.record(gradJoin, Object.fromEntries(parts.entries()), {});
    for (const { dataId } of [...pieces, ...parts]) recorder.disposeData(dataId);
    return whole;
  },
};

/** @file Attention that keeps no probabilities. Shapes: S heads of all clips, N queries, M keys, D features. */
import type { TensorInfo } from '@tensorflow/tfjs';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import type { Kernel, KernelCall } from '../kernel.js';
import { Float } from '../model_format.js';

/** Scores of all heads together are computed at once up to this many; above it, one head after the other. */
const MAX_SCORES = 2 ** 21;

interface AttentionAttributes {
  scale: number;
  hasBias: boolean;
  hasMask: boolean;
}

type Inputs = Record<string, TensorInfo>;

/** What the kernels need of the backend. */
export interface Recorder {
  record(op: string, call: KernelCall): TensorInfo[];
  mark(): void;
  disposeData(dataId: object): boolean;
}

function probabilities(
  g: GraphBuilder,
  q: string,
  k: string,
  { scale }: AttentionAttributes,
  bias?: Operand,
): string {
  const scores = g.contrib('FusedMatMul', [q, k], { transB: 1, alpha: new Float(scale) });
  return g.op('Softmax', [bias ? g.op('Add', [scores, bias.name]) : scores], { axis: -1 });
}

/** {q, k, v, bias?, mask?} → out. */
const forward: Kernel = {
  name: 'Attention',
  record: ({ q, k, v, bias, mask }, { scale }) => ({
    inputs: [q, k, v, ...(bias ? [bias] : []), ...(mask ? [mask] : [])],
    attributes: { scale, hasBias: bias !== undefined, hasMask: mask !== undefined },
    outputs: [{ shape: [q.shape[0], q.shape[1], v.shape[2]], dtype: 'float32' }],
  }),
  lower: (g, [q, k, v, ...rest], { attributes }) => {
    const settings = attributes as AttentionAttributes;
    const bias = settings.hasBias ? rest.shift() : undefined;
    const [mask] = rest;
    if (!bias && !mask && q.shape[2] === v.shape[2]) {
      // The runtime's own, which never holds more than a block of scores.
      const attributes = { num_heads: 1, scale: new Float(settings.scale) };
      return g.contrib('MultiHeadAttention', [q.name, k.name, v.name], attributes);
    }
    const p = probabilities(g, q.name, k.name, settings, bias);
    return g.op('MatMul', [mask ? g.op('Mul', [p, mask.name]) : p, v.name]);
  },
};

/** {dy, q, k, v, out, bias?, mask?} → dq, dk, dv, dbias?. */
const backward: Kernel = {
  name: 'AttentionGrad',
  record: ({ dy, q, k, v, out, bias, mask }, { scale }) => ({
    inputs: [dy, q, k, v, out, ...(bias ? [bias] : []), ...(mask ? [mask] : [])],
    attributes: { scale, hasBias: bias !== undefined, hasMask: mask !== undefined },
    outputs: [q, k, v, ...(bias ? [bias] : [])].map(({ shape }) => ({ shape, dtype: 'float32' as const })),
  }),
  lower: (g, [dy, q, k, v, out, ...rest], { attributes }) => {
    const settings = attributes as AttentionAttributes;
    const bias = settings.hasBias ? rest.shift() : undefined;
    const [mask] = rest;
    const alpha = new Float(settings.scale);
    const p = probabilities(g, q.name, k.name, settings, bias);
    const product = g.contrib('FusedMatMul', [dy.name, v.name], { transB: 1 });
    const dp = mask ? g.op('Mul', [product, mask.name]) : product;
    // Σ_m p·dp of a row is dy·out, which is one row of D instead of one of M.
    const inner = g.op('ReduceSum', [g.op('Mul', [dy.name, out.name]), g.ints([2])], { keepdims: 1 });
    const ds = g.op('Mul', [p, g.op('Sub', [dp, inner])]);
    return [
      g.contrib('FusedMatMul', [ds, k.name], { alpha }),
      g.contrib('FusedMatMul', [ds, q.name], { transA: 1, alpha }),
      g.contrib('FusedMatMul', [mask ? g.op('Mul', [p, mask.name]) : p, dy.name], { transA: 1 }),
      ...(bias ? [ds] : []),
    ];
  },
};

export const attentionKernels: Kernel[] = [forward, backward];

/** Runs `kernel` for all heads at once, or head by head where the scores would be many, each in a graph of its own. */
export function recordAttention(
  recorder: Recorder,
  kernel: Kernel,
  inputs: Inputs,
  scale: number,
): TensorInfo[] {
  const { q, k } = inputs;
  const heads = q.shape[0];
  const isFused = kernel === forward && !inputs.bias && !inputs.mask;
  if (heads === 1 || isFused || heads * q.shape[1] * k.shape[1] <= MAX_SCORES)
    return recorder.record(kernel.name, kernel.record(inputs, { scale }));

  const temporary: TensorInfo[] = [];
  const names = Object.keys(inputs).filter((name) => inputs[name]);
  const parts = names.map((name) => {
    const x = inputs[name];
    const shape = [1, ...x.shape.slice(1)];
    const outputs = Array.from({ length: heads }, () => ({ shape, dtype: 'float32' as const }));
    return recorder.record('SplitV', { inputs: [x], attributes: { axis: 0 }, outputs });
  });
  temporary.push(...parts.flat());
  const results = Array.from({ length: heads }, (_, head) => {
    recorder.mark();
    const ofHead = Object.fromEntries(names.map((name, i) => [name, parts[i][head]]));
    return recorder.record(kernel.name, kernel.record(ofHead, { scale }));
  });
  temporary.push(...results.flat());
  recorder.mark();
  const whole = results[0].map((_, i) => {
    const pieces = results.map((result) => result[i]);
    const shape = [heads, ...pieces[0].shape.slice(1)];
    return recorder.record('Concat', {
      inputs: pieces,
      attributes: { axis: 0 },
      outputs: [{ shape, dtype: 'float32' }],
    })[0];
  });
  for (const { dataId } of temporary) recorder.disposeData(dataId);
  return whole;
}

/**
 * @file Plans of self-attention on joint projections.
 *
 * Shapes: B clips, N tokens, H heads, D features of a head. Projections qkv and their gradient are [B, N, 3, H, D], results
 * [B, N, H, D], both in bfloat16; statistics [B, H, N] are the logarithms of the softmax's sums in float32.
 */
import { ALIGNMENT } from './descriptors.js';
import {
  GraphBuilder,
  type GraphTensor,
  type OperationGraph,
  type TensorLayout,
  TYPE_BYTES,
} from './graph.js';
import { buildPlan, type CudnnPlan, type PlanContext } from './plan.js';

export interface AttentionShape {
  readonly B: number;
  readonly N: number;
  readonly H: number;
  readonly D: number;
  /** Factor on the scores. */
  readonly scale: number;
}

/** The first version with one operation for all of attention. */
const FORWARD_VERSION = 91300;
/** The first version that itself sets the accumulator of the queries' gradient to zero. */
const BACKWARD_VERSION = 90600;
/** The backward pass keeps [B, H, N, N] numbers in bfloat16 if it must be deterministic, else [B, H, N, D] in float32. */
const MAX_WORKSPACE_BYTES = 2 ** 31;

/**
 * softmax(scale·q·kᵀ)·v. Arguments: `qkv` is read, `out` and `statistics` are written. Returns null if cuDNN has no plan, and for
 * versions before 9.13.
 */
export function attentionForward(context: PlanContext, shape: AttentionShape): CudnnPlan | null {
  if (context.cudnn.version < FORWARD_VERSION || !isAligned(shape)) return null;
  return buildPlan(context, forwardGraph(shape));
}

/**
 * The gradient. Arguments: `qkv`, `out`, `statistics` and `dout` are read, `dqkv` is written. Returns null if cuDNN has no plan,
 * and for versions before 9.6. The workspace is at most 2 GiB, which can be too little for a deterministic plan of many clips.
 */
export function attentionBackward(context: PlanContext, shape: AttentionShape): CudnnPlan | null {
  if (context.cudnn.version < BACKWARD_VERSION || !isAligned(shape)) return null;
  const graph = backwardGraph(shape, { accumulates: !context.isDeterministic });
  return buildPlan(context, graph, MAX_WORKSPACE_BYTES);
}

/** Whether each head begins at a multiple of the alignment. */
const isAligned = ({ D }: AttentionShape) => (D * TYPE_BYTES.bfloat16) % ALIGNMENT === 0;

/** [B, H, N, D] as a view of projections [B, N, 3, H, D]. */
function projection({ B, H, N, D }: AttentionShape): TensorLayout {
  return { type: 'bfloat16', dims: [B, H, N, D], strides: [N * 3 * H * D, D, 3 * H * D, 1] };
}

/** [B, H, N, D] as a view of [B, N, H, D]. */
function headsOf({ B, H, N, D }: AttentionShape, type: 'bfloat16' | 'float32' = 'bfloat16'): TensorLayout {
  return { type, dims: [B, H, N, D], strides: [N * H * D, D, H * D, 1] };
}

/** A number for each query. */
function rows({ B, H, N }: AttentionShape): TensorLayout {
  return { type: 'float32', dims: [B, H, N, 1], strides: [H * N, N, 1, 1] };
}

/** The same elements with the last two axes exchanged. */
function transposed({ type, dims, strides }: TensorLayout): TensorLayout {
  const swap = ([b, h, n, m]: readonly number[]) => [b, h, m, n];
  return { type, dims: swap(dims), strides: swap(strides) };
}

/** Bytes from one of queries, keys and values to the next in projections. */
const partBytes = ({ H, D }: AttentionShape) => H * D * TYPE_BYTES.bfloat16;

export function forwardGraph(shape: AttentionShape): OperationGraph {
  const graph = new GraphBuilder();
  const layout = projection(shape);
  const tensors = {
    q: graph.argument('qkv', layout),
    k: graph.argument('qkv', layout, partBytes(shape)),
    v: graph.argument('qkv', layout, 2 * partBytes(shape)),
    o: graph.argument('out', headsOf(shape)),
    statistics: graph.argument('statistics', rows(shape)),
    scale: graph.scalar(shape.scale, 4),
  };
  graph.operations.push({ kind: 'attention', tensors: idsOf(tensors) });
  return graph;
}

function idsOf<Name extends string>(tensors: Readonly<Record<Name, GraphTensor>>): Record<Name, number> {
  const entries = Object.entries(tensors) as [Name, GraphTensor][];
  return Object.fromEntries(entries.map(([name, { id }]) => [name, id])) as Record<Name, number>;
}

/**
 * The graph of the backward pass in 17 or 18 steps, the form in which cuDNN recognizes it. With `accumulates`, blocks of threads
 * add to the queries' gradient in float32 in no fixed order; else it is computed from scores' gradients in memory.
 */
export function backwardGraph(
  shape: AttentionShape,
  { accumulates }: { readonly accumulates: boolean },
): OperationGraph {
  const { B, H, N, D } = shape;
  const graph = new GraphBuilder(accumulates);
  const layout = projection(shape);
  const scores: TensorLayout = { type: 'float32', dims: [B, H, N, N], strides: [H * N * N, N * N, N, 1] };
  const turned: TensorLayout = { ...transposed(scores), type: 'bfloat16' };
  const step = (mode: 'mul' | 'sub' | 'exp', ...inputs: GraphTensor[]) =>
    graph.pointwise(mode, inputs, graph.virtual(scores));

  const q = graph.argument('qkv', layout);
  const kT = graph.argument('qkv', transposed(layout), partBytes(shape));
  const vT = graph.argument('qkv', transposed(layout), 2 * partBytes(shape));
  const dout = graph.argument('dout', headsOf(shape));
  const scale = graph.scalar(shape.scale, 4);

  // Row sums of dout·out, which are those of the probabilities' gradients times the probabilities.
  const out = graph.argument('out', headsOf(shape));
  const products = graph.pointwise('mul', [dout, out], graph.virtual(headsOf(shape, 'float32')));
  const sums = graph.sum(products, graph.virtual(rows(shape)));
  const rowSums = graph.pointwise('mul', [sums, graph.scalar(1, 4)], graph.scratch(rows(shape)));

  const scaled = step('mul', graph.matmul(q, kT, graph.virtual(scores)), scale);
  const p = step('exp', step('sub', scaled, graph.argument('statistics', rows(shape))));
  const pT = graph.reshape(p, graph.virtual(turned));
  graph.matmul(pT, dout, graph.argument('dqkv', layout, 2 * partBytes(shape)));

  const dp = graph.matmul(dout, vT, graph.virtual(scores));
  const ds = step('mul', step('mul', step('sub', dp, rowSums), p), scale);
  const dsT = graph.reshape(ds, graph.virtual(turned));
  graph.matmul(dsT, q, graph.argument('dqkv', layout, partBytes(shape)));

  const k = graph.reshape(kT, graph.virtual(layout));
  const dq = graph.argument('dqkv', layout);
  if (!accumulates) graph.matmul(ds, k, dq);
  else {
    const strides = [H * N * D, N * D, D, 1];
    const sum = graph.scratch({ type: 'float32', dims: [B, H, N, D], strides });
    graph.pointwise('identity', [graph.matmul(ds, k, sum)], dq);
  }
  return graph;
}

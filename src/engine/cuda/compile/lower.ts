/** @file Lowers the operations of a recorded graph to tensors of a program. */
import type { Graph } from '../../lazy/compiler.js';
import { Builder } from '../ir/builder.js';
import type { Tensor, View } from '../ir/tensor.js';
import type { Lowering, Policy } from '../kernels/lowering.js';
import type { Storage } from '../storage.js';

export interface LoweredGraph {
  readonly builder: Builder;
  /** The results that the program returns, each a tensor of its own and none of them an input. */
  readonly outputs: readonly Tensor[];
}

/** Throws if there is no lowering of an operation. */
export function lowerGraph(
  graph: Graph,
  lowerings: ReadonlyMap<string, Lowering>,
  policy: Policy,
): LoweredGraph {
  const builder = new Builder();
  const inputs = graph.inputs.map((info, i) =>
    builder.input(i, { ...info, storage: (info.layout as Storage | undefined) ?? info.dtype }),
  );
  const results: (readonly View[])[] = [];
  for (const [n, node] of graph.nodes.entries()) {
    builder.label = `${node.op} ${n}`;
    const operands = node.inputs.map(({ source, shape }) => {
      const view = 'input' in source ? inputs[source.input] : results[source.node][source.output];
      return builder.reshape(view, shape);
    });
    const lower = lowerings.get(node.op);
    if (!lower) throw new Error(`the cuda engine has no lowering of ${node.op}`);
    const lowered = lower(builder, operands, node, policy);
    results.push('tensor' in lowered ? [lowered] : lowered);
  }
  const views = graph.outputs.map(({ node, output }) => results[node][output]);
  return { builder, outputs: distinctResults(builder, views) };
}

/** Copies inputs, and results that are returned twice. */
function distinctResults(builder: Builder, views: readonly View[]): Tensor[] {
  const used = new Set<Tensor>();
  builder.label = 'copy';
  return views.map((view) => {
    const { tensor, shape } = view;
    const isNew = tensor.definition.kind !== 'input' && !used.has(tensor);
    const { dtype, storage } = tensor;
    const result = isNew
      ? tensor
      : builder.map({ shape, dtype, storage }, (i) => builder.load(view, i)).tensor;
    used.add(result);
    return result;
  });
}

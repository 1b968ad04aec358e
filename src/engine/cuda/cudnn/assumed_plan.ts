/** @file Plans as cuDNN is expected to have them, to plan programs without a GPU. They cannot run. */
import { backwardGraph, forwardGraph } from './attention.js';
import { convolutionGraph } from './convolution.js';
import { type GraphTensor, type OperationGraph, sizeOf, TYPE_BYTES } from './graph.js';
import { MAX_WORKSPACE_BYTES } from './plan.js';
import type { NamedPlan, PlannedComputation } from './plans.js';

type AssumedRequest = PlannedComputation & { readonly isDeterministic: boolean };

/** A plan with the arguments of the real one. Its workspace has at least what the graph's own intermediate tensors take. */
export function assumedPlan(request: AssumedRequest): NamedPlan {
  const graph = graphOf(request);
  const scratch = graph.tensors.filter(({ place }) => place.kind === 'scratch');
  return {
    name: JSON.stringify(request),
    plan: {
      arguments: graph.tensors.flatMap(({ id, place }) =>
        place.kind === 'argument' ? [{ id, name: place.name, offset: place.offset }] : [],
      ),
      workspaceBytes: bytesOf(scratch) + (request.kind === 'convolution' ? reorderedBytes(graph) : 0),
    },
  };
}

const bytesOf = (tensors: readonly GraphTensor[]) =>
  tensors.reduce((sum, tensor) => sum + sizeOf(tensor) * TYPE_BYTES[tensor.type], 0);

/**
 * Bytes that the plans of a convolution take. They reorder the weight; in float32, those that compute a map reorder both maps
 * instead, unless that takes too much.
 */
function reorderedBytes({ tensors: [x, weight, y], operations }: OperationGraph): number {
  const [operation] = operations;
  const isMap = operation.kind === 'convolution' && operation.pass !== 'filter';
  if (x.type !== 'float32' || !isMap) return bytesOf([weight]);
  const bytes = bytesOf([x, y]);
  return bytes <= MAX_WORKSPACE_BYTES ? bytes : 0;
}

function graphOf(request: AssumedRequest): OperationGraph {
  if (request.kind === 'convolution') return convolutionGraph(request.pass, request.shape);
  if (request.kind === 'attention') return forwardGraph(request.shape);
  return backwardGraph(request.shape, { accumulates: !request.isDeterministic });
}

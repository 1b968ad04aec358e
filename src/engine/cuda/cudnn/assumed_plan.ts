/** @file Plans as cuDNN is expected to have them, to plan programs without a GPU. They cannot run. */
import { backwardGraph, forwardGraph } from './attention.js';
import { convolutionGraph } from './convolution.js';
import { type OperationGraph, sizeOf, TYPE_BYTES } from './graph.js';
import type { NamedPlan, PlannedComputation } from './plans.js';

type AssumedRequest = PlannedComputation & { readonly isDeterministic: boolean };

/** Bytes that the plans of a convolution take, for the reordered weights. */
const CONVOLUTION_WORKSPACE_BYTES = 4e6;

/** A plan with the arguments of the real one. Its workspace has at least what the graph's own intermediate tensors take. */
export function assumedPlan(request: AssumedRequest): NamedPlan {
  const graph = graphOf(request);
  const scratch = graph.tensors.filter(({ place }) => place.kind === 'scratch');
  const bytes = scratch.reduce((sum, tensor) => sum + sizeOf(tensor) * TYPE_BYTES[tensor.type], 0);
  return {
    name: JSON.stringify(request),
    plan: {
      arguments: graph.tensors.flatMap(({ id, place }) =>
        place.kind === 'argument' ? [{ id, name: place.name, offset: place.offset }] : [],
      ),
      workspaceBytes: bytes + (request.kind === 'convolution' ? CONVOLUTION_WORKSPACE_BYTES : 0),
    },
  };
}

function graphOf(request: AssumedRequest): OperationGraph {
  if (request.kind === 'convolution') return convolutionGraph(request.pass, request.shape);
  if (request.kind === 'attention') return forwardGraph(request.shape);
  return backwardGraph(request.shape, { accumulates: !request.isDeterministic });
}

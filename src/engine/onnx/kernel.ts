/** @file The kernels of the onnx engine: what each records on the lazy graph, and its lowering to ONNX. */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import {
  FUSED_KERNELS,
  type FusedKernelName,
  type FusedKernels,
  type InputsOf,
  type KernelSignature,
  type ResultsOf,
} from '../kernel_contract.js';
import type { GraphNode } from '../lazy/compiler.js';
import {
  type KernelTable,
  type LoweredTable,
  type NamedInputs,
  type RecordedKernel,
  withLowerings,
} from '../record/kernel.js';
import { namedOperands, type SignatureRecording, signatureKernel } from '../record/signature.js';
import type { GraphBuilder, Operand } from './graph_builder.js';

/** Adds the operators of a recorded operation to a graph and returns the names of its results. */
export type Lowering = (
  builder: GraphBuilder,
  operands: readonly Operand[],
  node: GraphNode,
) => string | string[];

/** A recorded kernel and its lowering. */
export interface Kernel<Inputs = NamedInputs, Attributes = NamedAttrMap>
  extends RecordedKernel<Inputs, Attributes> {
  readonly lower: Lowering;
}

/** The results and the lowering of a kernel with a signature. */
export interface KernelDefinition<S extends KernelSignature> extends SignatureRecording<S> {
  lower(
    builder: GraphBuilder,
    inputs: InputsOf<S, Operand>,
    attributes: S['attributes'],
  ): Readonly<ResultsOf<S, string>>;
}

export type FusedKernel<K extends FusedKernelName> = Kernel<
  InputsOf<FusedKernels[K], TensorInfo>,
  FusedKernels[K]['attributes']
> & {
  readonly name: K;
  readonly definition: KernelDefinition<FusedKernels[K]>;
};

/** Adds lowerings to kernels of tfjs's operations. */
export function lowered<Table extends KernelTable>(
  kernels: Table,
  lowerings: Readonly<Record<keyof Table, Lowering>>,
): LoweredTable<Table, Lowering> {
  return withLowerings(kernels, lowerings);
}

/** Makes a kernel of the contract. */
export function fusedKernel<K extends FusedKernelName>(
  name: K,
  definition: KernelDefinition<FusedKernels[K]>,
): FusedKernel<K> {
  const inputs = FUSED_KERNELS[name];
  return {
    ...signatureKernel(name, inputs, definition),
    name,
    definition,
    lower: (builder, operands, node) => {
      const named = namedOperands<FusedKernels[K], Operand>(inputs, operands, node);
      return [...definition.lower(builder, named, node.attributes)] as string[];
    },
  };
}

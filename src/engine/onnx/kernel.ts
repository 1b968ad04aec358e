/** @file The kernels of the onnx engine: the operation that each records on the lazy graph, and its lowering to ONNX. */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import {
  FUSED_KERNELS,
  type FusedKernelName,
  type FusedKernels,
  type InputsOf,
  type InputTable,
  type KernelSignature,
  type ResultsOf,
} from '../kernel_contract.js';
import type { GraphNode } from '../lazy/compiler.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { GraphBuilder, Operand } from './graph_builder.js';
import type { HostArray } from './tensor.js';

/** Adds the operators of a recorded operation to a graph and returns the names of its results. */
export type Lowering = (
  builder: GraphBuilder,
  operands: readonly Operand[],
  node: GraphNode,
) => string | string[];

/** A result. With a `view`, tfjs sees the elements in that shape and the graph in `shape`, without a copy. */
export interface KernelResult extends ValueInfo {
  view?: readonly number[];
}

/** An operation to be recorded. */
export interface KernelCall {
  inputs: readonly TensorInfo[];
  outputs: readonly KernelResult[];
  attributes?: object;
}

export type NamedInputs = Readonly<Record<string, TensorInfo>>;
/** Inputs of kernels that take any number of tensors: tfjs passes an array. */
export type ListInputs = readonly TensorInfo[];

/** Reads the content of a tensor, null if it has not been computed yet. */
export type ContentReader = (x: TensorInfo) => HostArray | null;

/** A tfjs kernel that is one operation of the lazy graph. */
export interface Kernel<Inputs = NamedInputs, Attributes = NamedAttrMap> {
  readonly name: string;
  /** Throws if the kernel does not take these operands. */
  record(inputs: Inputs, attributes: Attributes): KernelCall;
  /** Throws if operands of known content are out of range. */
  check?(inputs: Inputs, attributes: Attributes, contentOf: ContentReader): void;
  readonly lower: Lowering;
  /** Operations of different streams never share a compiled graph. */
  readonly stream?: number;
}

/** The results and the lowering of a kernel with a signature. */
export interface KernelDefinition<S extends KernelSignature> {
  results(inputs: InputsOf<S, TensorInfo>, attributes: S['attributes']): Readonly<ResultsOf<S, KernelResult>>;
  lower(
    builder: GraphBuilder,
    inputs: InputsOf<S, Operand>,
    attributes: S['attributes'],
  ): Readonly<ResultsOf<S, string>>;
  readonly stream?: number;
}

export type SignatureKernel<S extends KernelSignature> = Kernel<InputsOf<S, TensorInfo>, S['attributes']>;
export type FusedKernel<K extends FusedKernelName> = SignatureKernel<FusedKernels[K]> & {
  readonly name: K;
  readonly definition: KernelDefinition<FusedKernels[K]>;
};

/** Records with a lazy graph, for composite kernels. */
export interface Recorder {
  /** Number of graphs of the serial streams that can run at the same time, one on each thread. */
  readonly lanes: number;
  record<Inputs, Attributes extends object>(
    kernel: Kernel<Inputs, Attributes>,
    inputs: Inputs,
    attributes: Attributes,
  ): TensorInfo[];
  disposeData(dataId: object): boolean;
}

/** A tfjs kernel that is several operations of the lazy graph. */
export interface CompositeKernel<K extends FusedKernelName> {
  readonly name: K;
  run(
    recorder: Recorder,
    inputs: InputsOf<FusedKernels[K], TensorInfo>,
    attributes: FusedKernels[K]['attributes'],
  ): TensorInfo[];
}

/**
 * Makes a kernel with a signature. The order of `inputs` is the order of the operands in the graph. The attributes of the node
 * are those of the kernel and, if inputs are missing, their names.
 */
export function signatureKernel<S extends KernelSignature>(
  name: string,
  inputs: InputTable<S>,
  { results, lower, stream }: KernelDefinition<S>,
): SignatureKernel<S> {
  const names = Object.keys(inputs);
  return {
    name,
    stream,
    record(given, attributes) {
      const tensors = given as Readonly<Record<string, TensorInfo | undefined>>;
      const missing = names.filter((input) => tensors[input] === undefined);
      return {
        inputs: names.flatMap((input) => tensors[input] ?? []),
        attributes: missing.length > 0 ? { ...attributes, missing } : attributes,
        outputs: results(given, attributes) as readonly KernelResult[],
      };
    },
    lower(builder, operands, node) {
      const { missing } = node.attributes as { missing?: readonly string[] };
      const present = names.filter((input) => !missing?.includes(input));
      const named = Object.fromEntries(present.map((input, i) => [input, operands[i]]));
      return [...lower(builder, named as InputsOf<S, Operand>, node.attributes)] as string[];
    },
  };
}

/** Makes a kernel of the contract. */
export function fusedKernel<K extends FusedKernelName>(
  name: K,
  definition: KernelDefinition<FusedKernels[K]>,
): FusedKernel<K> {
  return { ...signatureKernel(name, FUSED_KERNELS[name], definition), name, definition };
}

/** Returns the type of a tensor. Throws for types that the engine does not have. */
export function dtypeOf({ dtype }: { dtype: string }): LazyDtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`the onnx engine has no tensors of type ${dtype}`);
}

/** A float32 result of a shape. */
export function floats(shape: readonly number[], view?: readonly number[]): KernelResult {
  return { shape, view, dtype: 'float32' };
}

/** @file What a kernel of the onnx engine consists of. */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import type { GraphNode } from '../lazy/graph.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { GraphBuilder, Operand } from './graph_builder.js';
import type { HostArray } from './runtime.js';

/** Adds the operators of a recorded operation to a graph and returns the names of its results. */
export type Lowering = (
  builder: GraphBuilder,
  operands: readonly Operand[],
  node: GraphNode,
) => string | string[];

/** A result. Where `view` is given, tfjs sees the elements in that shape and the graph in `shape`, without a copy. */
export interface KernelResult extends ValueInfo {
  view?: readonly number[];
}

/** An operation to be recorded. */
export interface KernelCall {
  inputs: readonly TensorInfo[];
  outputs: readonly KernelResult[];
  attributes?: object;
}

export type KernelInputs = Record<string, TensorInfo>;

/** A tfjs kernel: what it records, and how that becomes ONNX. */
export interface Kernel {
  name: string;
  /** Throws where the operands are none that the kernel takes. */
  record(inputs: KernelInputs, attrs: NamedAttrMap): KernelCall;
  /** Throws where operands whose content is known are none that the kernel takes; null for content still to come. */
  check?(inputs: KernelInputs, attrs: NamedAttrMap, contentOf: (x: TensorInfo) => HostArray | null): void;
  lower: Lowering;
  lane?: number;
}

/** What a program records with. */
export interface Recorder {
  record(kernel: Kernel, inputs: KernelInputs, attrs: NamedAttrMap): TensorInfo[];
  mark(): void;
  disposeData(dataId: object): boolean;
}

/** A tfjs kernel that is several recorded ones. */
export interface KernelProgram {
  name: string;
  run(recorder: Recorder, inputs: KernelInputs, attrs: NamedAttrMap): TensorInfo[];
}

/** The type of a tensor as the graph knows it. Throws for types that no kernel here takes. */
export function dtypeOf({ dtype }: { dtype: string }): LazyDtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`the onnx engine has no tensors of type ${dtype}`);
}

/** @file What a kernel of the onnx engine consists of. */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import type { GraphNode } from '../lazy/graph.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { GraphBuilder, Operand } from './graph_builder.js';

/** Adds the operators of a recorded operation to a graph and returns the names of its results. */
export type Lowering = (
  builder: GraphBuilder,
  operands: readonly Operand[],
  node: GraphNode,
) => string | string[];

/** An operation to be recorded. */
export interface KernelCall {
  inputs: readonly TensorInfo[];
  outputs: readonly ValueInfo[];
  attributes?: object;
}

/** A tfjs kernel: what it records, and how that becomes ONNX. */
export interface Kernel {
  name: string;
  /** Throws where the operands are none that the kernel takes. */
  record(inputs: Record<string, TensorInfo>, attrs: NamedAttrMap): KernelCall;
  lower: Lowering;
  lane?: number;
}

/** The type of a tensor as the graph knows it. Throws for types that no kernel here takes. */
export function dtypeOf({ dtype }: { dtype: string }): LazyDtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`the onnx engine has no tensors of type ${dtype}`);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** @file What a lowering is: the tensors of a program that a recorded operation becomes. */
import type { GraphNode } from '../../lazy/compiler.js';
import type { Gemm } from '../compile/program.js';
import type { NamedPlan, PlannedComputation } from '../cudnn/plans.js';
import type { Builder } from '../ir/builder.js';
import type { View } from '../ir/tensor.js';
import type { Storage } from '../storage.js';
import type { Bfloat16Sizes } from './precision.js';

/** How a program computes. */
export interface Policy {
  /** ENGINE.PRECISION. */
  readonly precision: 'float32' | 'tf32' | 'bfloat16';
  /** From which sizes on bfloat16 is used; for tests. */
  readonly bfloat16Sizes?: Bfloat16Sizes;
  /** Whether equal inputs must give equal bits. */
  readonly isDeterministic: boolean;
  /** Whether cuBLASLt has an algorithm for a product; else a kernel of ours computes it. */
  readonly hasAlgorithm: (gemm: Gemm) => boolean;
  /** cuDNN's plan of a computation; null if it has none, or is not there. */
  readonly findPlan: (computation: PlannedComputation) => NamedPlan | null;
}

/** Makes the results of an operation, in the order of `node.outputs`, each with as many elements as its shape has. */
export type Lowering = (
  builder: Builder,
  operands: readonly View[],
  node: GraphNode,
  policy: Policy,
) => View | readonly View[];

/**
 * Storage of a result that is computed element by element from `operands`: bfloat16 if all float32 operands with as many elements
 * as the result are stored so, and there is one.
 */
export function storageLike(operands: readonly View[], size: number): Storage {
  const floats = operands.filter(({ tensor }) => tensor.dtype === 'float32' && tensor.size === size);
  const isNarrow = floats.length > 0 && floats.every(({ tensor }) => tensor.storage === 'bfloat16');
  return isNarrow ? 'bfloat16' : 'float32';
}

/** @file Makes the fused kernels of the contract for this engine. */
import type { TensorInfo } from '@tensorflow/tfjs';
import {
  FUSED_KERNELS,
  type FusedAttributes,
  type FusedInputs,
  type FusedKernelName,
  type FusedKernels,
  type FusedResults,
  type InputTable,
} from '../../kernel_contract.js';
import type { ValueInfo } from '../../lazy/value.js';
import { namedOperands } from '../../record/signature.js';
import type { Builder } from '../ir/builder.js';
import type { View } from '../ir/tensor.js';
import type { Lowering, Policy } from './lowering.js';

/** The shapes of a fused kernel's results, and its lowering. */
export interface FusedDefinition<K extends FusedKernelName> {
  results(
    inputs: FusedInputs<K, TensorInfo>,
    attributes: FusedAttributes<K>,
  ): Readonly<FusedResults<K, ValueInfo>>;
  lower(
    builder: Builder,
    inputs: FusedInputs<K, View>,
    attributes: FusedAttributes<K>,
    policy: Policy,
  ): Readonly<FusedResults<K, View>>;
}

export interface FusedKernel<K extends FusedKernelName> {
  readonly name: K;
  readonly results: FusedDefinition<K>['results'];
  readonly lower: Lowering;
}

/** Makes a kernel of the contract. */
export function fusedKernel<K extends FusedKernelName>(
  name: K,
  { results, lower }: FusedDefinition<K>,
): FusedKernel<K> {
  return {
    name,
    results,
    lower: (builder, operands, node, policy) => {
      const attributes = node.attributes as FusedAttributes<K>;
      const inputs: InputTable<FusedKernels[K]> = FUSED_KERNELS[name];
      return lower(builder, namedOperands(inputs, operands, node), attributes, policy) as readonly View[];
    },
  };
}

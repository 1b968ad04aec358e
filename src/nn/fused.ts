/** @file Calls fused kernels, or composes them of other operations on engines that lack them. */
import type {
  FusedAttributes,
  FusedBackend,
  FusedInputs,
  FusedKernelName,
  FusedResults,
} from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';

/** Whether the current engine has the fused kernel. */
export function hasFusedKernel(name: FusedKernelName): boolean {
  const { fusedKernels } = tf.backend() as unknown as Partial<FusedBackend>;
  return fusedKernels?.has(name) ?? false;
}

/**
 * Runs a fused kernel, or `composed` on an engine that does not list it. Call it only inside `differentiable`, because the
 * kernels have no gradients of their own.
 */
export function fused<K extends FusedKernelName>(
  name: K,
  inputs: FusedInputs<K, tf.Tensor>,
  attributes: FusedAttributes<K>,
  composed: () => FusedResults<K, tf.Tensor>,
): FusedResults<K, tf.Tensor> {
  return hasFusedKernel(name) ? runFusedKernel(name, inputs, attributes) : composed();
}

/** Runs a fused kernel. Throws if the current engine does not have it. */
export function runFusedKernel<K extends FusedKernelName>(
  name: K,
  inputs: FusedInputs<K, tf.Tensor>,
  attributes: FusedAttributes<K>,
): FusedResults<K, tf.Tensor> {
  const given: tf.NamedTensorMap = {};
  for (const [input, tensor] of Object.entries<tf.Tensor | undefined>(inputs))
    if (tensor !== undefined) given[input] = tensor;
  const result = tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(name, given, attributes as tf.NamedAttrMap);
  return (Array.isArray(result) ? result : [result]) as FusedResults<K, tf.Tensor>;
}

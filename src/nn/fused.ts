/** @file Kernels that an engine may have of its own for what other engines compose. */
import * as tf from '@tensorflow/tfjs';

/**
 * Runs the current engine's kernel `name`, where it has one, else `composed`. For use inside `differentiable` only: such
 * kernels have no gradient of their own.
 */
export function fused(
  name: string,
  inputs: Record<string, tf.Tensor | undefined>,
  attributes: tf.NamedAttrMap,
  composed: () => tf.Tensor[],
): tf.Tensor[] {
  return tf.getKernel(name, tf.getBackend()) ? runKernel(name, inputs, attributes) : composed();
}

/** Runs a kernel of the current engine that has no gradient of its own. Inputs that are undefined are left out. */
export function runKernel(
  name: string,
  inputs: Record<string, tf.Tensor | undefined>,
  attributes: tf.NamedAttrMap,
): tf.Tensor[] {
  const given = Object.entries(inputs).filter(([, tensor]) => tensor !== undefined);
  const result = tf.engine().runKernel(name, Object.fromEntries(given) as tf.NamedTensorMap, attributes);
  return (Array.isArray(result) ? result : [result]) as tf.Tensor[];
}

/** @file Runs one fused kernel of the onnx engine as a graph of its own. */
import type { FusedAttributes, FusedInputs, FusedKernelName } from '../../src/engine/kernel_contract.js';
import { OnnxBackend } from '../../src/engine/onnx/backend.js';
import { type KernelInput, runOnce } from '../../src/engine/onnx/run_once.js';
import type { OrtRuntime } from '../../src/engine/onnx/runtime.js';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { Rng } from '../../src/util/random.js';

export type { KernelInput };

/** An input of random numbers; the same for the same seed. */
export function uniform(shape: readonly number[], seed: number, low = -1, high = 1): KernelInput {
  const rng = new Rng(seed);
  return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => rng.uniformBetween(low, high)) };
}

/** Runs a fused kernel on all threads, or on one. The current engine must be onnx. */
export function runKernel<K extends FusedKernelName>(
  name: K,
  inputs: FusedInputs<K, KernelInput>,
  attributes: FusedAttributes<K>,
  threading: 'pool' | 'single' = 'pool',
): Float32Array[] {
  const backend = tf.backend();
  if (!(backend instanceof OnnxBackend)) throw new Error(`the engine is ${tf.getBackend()}`);
  const { kernels, tensors } = backend;
  return runOnce({ runtime: tensors as OrtRuntime, kernels }, { name, inputs, attributes }, threading);
}

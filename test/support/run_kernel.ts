/** @file Runs one fused kernel of the onnx engine as a graph of its own. */
import type { FusedAttributes, FusedInputs, FusedKernelName } from '../../src/engine/kernel_contract.js';
import { OnnxBackend } from '../../src/engine/onnx/backend.js';
import type { Lowering } from '../../src/engine/onnx/kernel.js';
import type { KernelSet } from '../../src/engine/onnx/kernel_set.js';
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
  const { kernels, tensors } = onnxBackend();
  return runOnce({ runtime: tensors as OrtRuntime, kernels }, { name, inputs, attributes }, threading);
}

/** Makes a function that runs these kernels instead of those of the current engine, which must be onnx. */
export function runnerOf(own: readonly { readonly name: string; readonly lower: Lowering }[]) {
  return <K extends FusedKernelName>(
    name: K,
    inputs: FusedInputs<K, KernelInput>,
    attributes: FusedAttributes<K>,
  ): Float32Array[] => {
    const { kernels: base, tensors } = onnxBackend();
    const lowerings = new Map([
      ...base.lowerings,
      ...own.map((kernel) => [kernel.name, kernel.lower] as const),
    ]);
    const kernels = { ...base, fused: own, lowerings } as unknown as KernelSet;
    return runOnce({ runtime: tensors as OrtRuntime, kernels }, { name, inputs, attributes });
  };
}

function onnxBackend(): OnnxBackend {
  const backend = tf.backend();
  if (!(backend instanceof OnnxBackend)) throw new Error(`the engine is ${tf.getBackend()}`);
  return backend;
}

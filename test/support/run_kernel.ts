/** @file Runs one fused kernel of the onnx engine as a graph of its own. */
import * as tf from '@tensorflow/tfjs';
import type { FusedAttributes, FusedInputs, FusedKernelName } from '../../src/engine/kernel_contract.js';
import type { GraphNode } from '../../src/engine/lazy/compiler.js';
import type { LazyDtype } from '../../src/engine/lazy/value.js';
import { OnnxBackend } from '../../src/engine/onnx/backend.js';
import { OrtCompiler } from '../../src/engine/onnx/compiler.js';
import type { FusedKernel } from '../../src/engine/onnx/kernel.js';
import type { OrtRuntime } from '../../src/engine/onnx/runtime.js';
import type { EngineTensor } from '../../src/engine/onnx/tensor.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { Rng } from '../../src/util/random.js';

/** An input: its shape and content. */
export interface KernelInput {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

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
  const kernel = kernels.fused.find((other) => other.name === name) as unknown as FusedKernel<'Gelu'>;
  const given = Object.entries<KernelInput | undefined>(inputs).flatMap(([key, input]) =>
    input ? [{ key, input, info: { shape: input.shape, dtype: dtypeOf(input), dataId: input } }] : [],
  );
  const named = Object.fromEntries(given.map(({ key, info }) => [key, info]));
  const call = kernel.record(named as never, attributes as never);
  const infos = call.inputs.map(({ shape, dataId }) => ({ shape, dtype: dtypeOf(dataId as KernelInput) }));
  const node: GraphNode = {
    op: name,
    attributes: call.attributes ?? {},
    inputs: infos.map(({ shape }, input) => ({ source: { input }, shape })),
    outputs: call.outputs,
  };
  const executable = new OrtCompiler(tensors as OrtRuntime, kernels.lowerings).compile({
    nodes: [node],
    inputs: infos,
    outputs: call.outputs.map((_, output) => ({ node: 0, output })),
    stream: threading === 'pool' ? 0 : 1,
  });
  const operands = call.inputs.map(({ dataId }, i) => {
    const tensor = tensors.allocate(infos[i].shape, infos[i].dtype);
    tensor.write((dataId as KernelInput).data);
    return tensor;
  });
  const results: EngineTensor[] = executable.run(operands as never);
  const numbers = results.map((tensor) => tensor.read() as Float32Array);
  for (const tensor of [...operands, ...results]) tensor.release();
  executable.release();
  return numbers;
}

const dtypeOf = ({ data }: KernelInput): LazyDtype => (data instanceof Int32Array ? 'int32' : 'float32');

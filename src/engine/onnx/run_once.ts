/** @file Runs one fused kernel as a graph of its own, for tests of an engine. */
import type { FusedAttributes, FusedInputs, FusedKernelName } from '../kernel_contract.js';
import type { GraphNode } from '../lazy/compiler.js';
import type { LazyDtype } from '../lazy/value.js';
import { OrtCompiler } from './compiler.js';
import type { FusedKernel } from './kernel.js';
import type { KernelSet } from './kernel_set.js';
import type { OrtRuntime } from './runtime.js';

/** An input: its shape and content. */
export interface KernelInput {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

export interface KernelRun<K extends FusedKernelName> {
  readonly name: K;
  readonly inputs: FusedInputs<K, KernelInput>;
  readonly attributes: FusedAttributes<K>;
}

/** Returns the results. With `single`, the kernel runs on one thread. */
export function runOnce<K extends FusedKernelName>(
  { runtime, kernels }: { runtime: OrtRuntime; kernels: KernelSet },
  { name, inputs, attributes }: KernelRun<K>,
  threading: 'pool' | 'single' = 'pool',
): Float32Array[] {
  const kernel = kernels.fused.find((other) => other.name === name) as unknown as FusedKernel<'Gelu'>;
  const given = Object.entries<KernelInput | undefined>(inputs).flatMap(([key, input]) =>
    input ? [{ key, info: { shape: input.shape, dtype: dtypeOf(input), dataId: input } }] : [],
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
  const executable = new OrtCompiler(runtime, kernels).compile({
    nodes: [node],
    inputs: infos,
    outputs: call.outputs.map((_, output) => ({ node: 0, output })),
    stream: threading === 'pool' ? 0 : 1,
  });
  const operands = call.inputs.map(({ dataId }, i) => {
    const tensor = runtime.allocate(infos[i].shape, infos[i].dtype);
    tensor.write((dataId as KernelInput).data);
    return tensor;
  });
  const results = executable.run(operands);
  const numbers = results.map((tensor) => tensor.read() as Float32Array);
  for (const tensor of [...operands, ...results]) tensor.release();
  executable.release();
  return numbers;
}

const dtypeOf = ({ data }: KernelInput): LazyDtype => (data instanceof Int32Array ? 'int32' : 'float32');

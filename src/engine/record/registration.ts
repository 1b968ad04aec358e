/** @file Registers the kernels of a recording backend with tfjs. */
import { EngineError } from '../../errors.js';
import { tf } from '../tfjs.js';
import type { RecordingBackend } from './backend.js';
import type { AnyFusedKernel, RecordedKernel, RecordedKernelSet } from './kernel.js';
import { withAxis } from './kernels/shape.js';
import type { EngineTensor } from './tensor.js';

/** Kernels whose result is always a list in tfjs, even of one tensor. */
const LIST_KERNELS = ['SplitV', 'Unpack'];

type Alias = (x: tf.TensorInfo, attrs: tf.NamedAttrMap) => readonly number[] | null;

/** Kernels whose result may share the operand's data. They return the shape of that view, or null if it cannot. */
const ALIASES: Readonly<Record<string, Alias>> = {
  Identity: (x) => x.shape,
  Reshape: (x, { shape }) => {
    const size = tf.util.sizeFromShape(x.shape);
    const inferred = tf.util.inferFromImplicitShape(shape as number[], size);
    tf.util.assert(
      size === tf.util.sizeFromShape(inferred),
      () => `cannot reshape [${x.shape}] (${size} elements) to [${inferred}]`,
    );
    return inferred;
  },
  ExpandDims: (x, { dim }) => withAxis(x.shape, dim as number).shape,
  // tfjs's gradients cast tensors to float32 that already are float32.
  Cast: (x, { dtype }) => (x.dtype === dtype ? x.shape : null),
  Tile: (x, { reps }) => ((reps as number[]).every((count) => count === 1) ? x.shape : null),
};

/** Registers a set of kernels with tfjs, and for tfjs's other kernels functions that throw EngineError. */
export function registerKernels(backendName: string, { tfjs, fused }: RecordedKernelSet): void {
  const register = (kernelName: string, run: KernelFunction) =>
    registerKernel({ backendName, kernelName }, run);
  const kernels = new Map(tfjs.map((kernel) => [kernel.name, kernel]));
  for (const name of new Set([...kernels.keys(), ...Object.keys(ALIASES)]))
    register(name, tfjsKernel(name, kernels.get(name), ALIASES[name]));
  for (const kernel of fused) register(kernel.name, fusedKernel(kernel));
  const known = new Set(tf.getKernelsForBackend(backendName).map(({ kernelName }) => kernelName));
  for (const { kernelName } of tf.getKernelsForBackend('cpu'))
    if (!known.has(kernelName)) register(kernelName, missingKernel(kernelName));
}

type Backend = RecordingBackend<EngineTensor>;
type KernelFunction = (
  backend: Backend,
  inputs: Readonly<Record<string, tf.TensorInfo>>,
  attrs: tf.NamedAttrMap,
) => tf.TensorInfo | tf.TensorInfo[];

/** Calls `kernel`, unless `aliasOf` returns a view of the operand. */
function tfjsKernel(
  name: string,
  kernel: RecordedKernel<never> | undefined,
  aliasOf?: Alias,
): KernelFunction {
  const isList = LIST_KERNELS.includes(name);
  return (backend, inputs, attrs) => {
    const x = inputs.x ?? inputs.input;
    const shape = aliasOf?.(x, attrs);
    if (shape) {
      backend.incRef(x.dataId);
      return { dataId: x.dataId, shape: [...shape], dtype: x.dtype };
    }
    // tfjs calls a kernel with the inputs that its operation documents.
    const results = backend.record(kernel as RecordedKernel, inputs, attrs);
    return results.length === 1 && !isList ? results[0] : results;
  };
}

/** nn/fused.ts calls these kernels with inputs and attributes of the contract. */
function fusedKernel(kernel: AnyFusedKernel): KernelFunction {
  return (backend, inputs, attrs) =>
    'record' in kernel
      ? backend.record(kernel, inputs as never, attrs as never)
      : kernel.run(backend, inputs as never, attrs as never);
}

/** Throws EngineError. */
function missingKernel(kernelName: string): KernelFunction {
  return ({ engine }) => {
    const caller = tf.engine().state.activeScope?.name;
    throw new EngineError(
      `the ${engine} engine has no kernel ${kernelName}${caller ? `, which tf.${caller} asked for` : ''}`,
    );
  };
}

function registerKernel(place: { kernelName: string; backendName: string }, run: KernelFunction): void {
  tf.registerKernel({
    ...place,
    kernelFunc: ({ inputs, attrs = {}, backend }) =>
      run(backend as Backend, inputs as Readonly<Record<string, tf.TensorInfo>>, attrs),
  });
}

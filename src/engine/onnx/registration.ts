/** @file The kernels of the onnx engine, and their registration with tfjs. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../../errors.js';
import type { OnnxBackend } from './backend.js';
import type { Kernel, Lowering } from './kernel.js';
import { attentionKernels, selfAttentionGrad } from './kernels/attention.js';
import { convKernels } from './kernels/conv.js';
import { conv3dKernels } from './kernels/conv3d.js';
import { elementwiseKernels } from './kernels/elementwise.js';
import { fusedKernels } from './kernels/fused.js';
import { matMul } from './kernels/matmul.js';
import { reduceKernels } from './kernels/reduce.js';
import { shapeKernels, withAxis } from './kernels/shape.js';

export const KERNELS: Kernel[] = [
  ...elementwiseKernels,
  ...reduceKernels,
  ...shapeKernels,
  ...fusedKernels,
  ...convKernels,
  ...conv3dKernels,
  ...attentionKernels,
  matMul,
];

/** Lowerings to ONNX by the kernels' names. */
export const LOWERINGS: ReadonlyMap<string, Lowering> = new Map(
  KERNELS.map(({ name, lower }) => [name, lower]),
);

/** The kernels whose result is a list to tfjs, however long. */
const LIST_KERNELS = ['SplitV', 'Unpack'];

/** Kernels whose result may be the operand's data, seen in the shape that is returned; null where it is not. */
const ALIASES: Record<string, (x: tf.TensorInfo, attrs: tf.NamedAttrMap) => number[] | null> = {
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
  // tfjs's gradients cast to float32 whatever is float32 already.
  Cast: (x, { dtype }) => (x.dtype === dtype ? x.shape : null),
  Tile: (x, { reps }) => ((reps as number[]).every((count) => count === 1) ? x.shape : null),
};

/** Registers what the backend can do, and for tfjs's other kernels one that says what is missing. */
export function registerKernels(backendName: string): void {
  const recorded = new Map(KERNELS.map((kernel) => [kernel.name, kernel]));
  for (const kernelName of new Set([...recorded.keys(), ...Object.keys(ALIASES)])) {
    const kernel = recorded.get(kernelName);
    const aliasOf = ALIASES[kernelName];
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs = {}, backend }) => {
        const onnx = backend as OnnxBackend;
        const x = (inputs.x ?? inputs.input) as tf.TensorInfo;
        const shape = aliasOf?.(x, attrs);
        if (shape) {
          onnx.incRef(x.dataId);
          return { dataId: x.dataId, shape: [...shape], dtype: x.dtype };
        }
        const results = onnx.record(kernel as Kernel, inputs as never, attrs);
        return results.length === 1 && !LIST_KERNELS.includes(kernelName) ? results[0] : results;
      },
    });
  }
  tf.registerKernel({
    kernelName: selfAttentionGrad.name,
    backendName,
    kernelFunc: ({ inputs, attrs = {}, backend }) =>
      selfAttentionGrad.run(backend as OnnxBackend, inputs as never, attrs),
  });
  const known = new Set(tf.getKernelsForBackend(backendName).map((registered) => registered.kernelName));
  for (const { kernelName } of tf.getKernelsForBackend('cpu')) {
    if (known.has(kernelName)) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: () => {
        const caller = tf.engine().state.activeScope?.name;
        throw new EngineError(
          `the onnx engine has no kernel ${kernelName}${caller ? `, which tf.${caller} asked for` : ''}`,
        );
      },
    });
  }
}

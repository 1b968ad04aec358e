/** @file Other ways of computing on the GPU that the cuda engine runs on, for comparisons. */
import { registerKernels } from '../record/registration.js';
import { tf } from '../tfjs.js';
import { policyOf } from './compiler.js';
import { KERNELS } from './kernels/kernel_set.js';
import type { Policy } from './kernels/lowering.js';
import { CudaBackend, runningBackend } from './start.js';

/** A precision, or float32 without cuBLASLt and cuDNN. */
export type Variant = 'float32' | 'tf32' | 'bfloat16' | 'own kernels';

/** Makes a variant current, runs `work`, and then makes the current engine current again. `work` must dispose its tensors. */
export async function onCudaVariant<T>(variant: Variant, work: () => Promise<T>): Promise<T> {
  const running = runningBackend();
  if (!running) throw new Error('the cuda engine does not run');
  const current = tf.getBackend();
  const name = `cuda ${variant}`;
  const { device, settings, ordinal } = running;
  const own = { ...settings, precision: variant === 'own kernels' ? 'float32' : variant } as const;
  const policy = variant === 'own kernels' ? { ...own, ...NO_LIBRARIES } : policyOf(device, own);
  tf.registerBackend(name, () => new CudaBackend(device, own, ordinal, policy));
  if (tf.getKernelsForBackend(name).length === 0) registerKernels(name, KERNELS);
  try {
    await tf.setBackend(name);
    return await work();
  } finally {
    await tf.setBackend(current);
    tf.removeBackend(name);
  }
}

const NO_LIBRARIES: Pick<Policy, 'hasAlgorithm' | 'findPlan'> = {
  hasAlgorithm: () => false,
  findPlan: () => null,
};

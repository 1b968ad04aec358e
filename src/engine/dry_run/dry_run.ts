/** @file Runs work on an engine that computes nothing and only counts the memory. */
import { assumedPlan } from '../cuda/cudnn/assumed_plan.js';
import { cudaDryEngine } from '../cuda/dry_engine.js';
import type { Policy } from '../cuda/kernels/lowering.js';
import { CudaBackend } from '../cuda/start.js';
import { OnnxBackend } from '../onnx/backend.js';
import { onnxDryEngine } from '../onnx/dry_engine.js';
import { ONNX_KERNELS } from '../onnx/kernel_set.js';
import { registerKernels } from '../record/registration.js';
import { tf } from '../tfjs.js';
import { MemoryCounter } from './counter.js';
import type { DryEngine } from './dry_engine.js';

export interface DryRunLimits {
  /** The work ends with a MemoryLimitError when it needs more. */
  readonly maxBytes?: number;
  /** By default like the current engine, or like onnx if that one records nothing. */
  readonly engine?: DryEngine;
}

/**
 * Runs `work` on the dry run's backend and then makes the current engine current again. `work` must dispose its tensors, and
 * no other work may use the engine until the promise settles.
 */
export async function dryRun<T>(
  work: (counter: MemoryCounter) => Promise<T>,
  { maxBytes = Number.POSITIVE_INFINITY, engine = likeCurrentEngine() }: DryRunLimits = {},
): Promise<T> {
  const current = tf.getBackend() as string | undefined;
  const counter = new MemoryCounter(maxBytes);
  const { name, kernels } = engine;
  tf.registerBackend(name, () => engine.backend(counter));
  if (tf.getKernelsForBackend(name).length === 0) registerKernels(name, kernels);
  try {
    await tf.setBackend(name);
    tf.engine().startScope('dry run');
    return await work(counter);
  } finally {
    // Disposes the tensors that an error has left.
    if (tf.getBackend() === name) tf.engine().endScope();
    if (current) await tf.setBackend(current);
    tf.removeBackend(name);
  }
}

/** What the libraries of a running engine are expected to have. Asking them would make all plans before the training begins. */
function assumedPolicy({ settings, device }: CudaBackend): Policy {
  const { isDeterministic } = settings;
  return {
    ...settings,
    hasAlgorithm: () => device.cublasLt !== null,
    findPlan: (computation) => (device.cudnn ? assumedPlan({ ...computation, isDeterministic }) : null),
  };
}

function likeCurrentEngine(): DryEngine {
  const backend: unknown = tf.getBackend() ? tf.backend() : null;
  if (backend instanceof CudaBackend) return cudaDryEngine(assumedPolicy(backend));
  return backend instanceof OnnxBackend
    ? onnxDryEngine(backend.kernels, backend.lanes)
    : onnxDryEngine(ONNX_KERNELS, 1);
}

/** Makes a float32 tensor of undefined content on the current engine. In a dry run it takes no memory of the host. */
export function blankTensor(shape: readonly number[]): tf.Tensor {
  const info = { shape: [...shape], dtype: 'float32' as const };
  return tf
    .engine()
    .makeTensorFromTensorInfo({ ...info, dataId: tf.backend().write(null as never, info.shape, info.dtype) });
}

/** @file Starts CUDA in this process, which uses one GPU, and registers the backend with tfjs. */
import { EngineError } from '../../errors.js';
import type { LazyGraphOptions } from '../lazy/graph.js';
import type { Probe } from '../probe.js';
import { RecordingBackend } from '../record/backend.js';
import { registerKernels } from '../record/registration.js';
import { tf } from '../tfjs.js';
import { CudaCompiler, type CudaSettings, policyOf } from './compiler.js';
import { type CudaTensor, CudaTensorMemory } from './device/cuda_tensor.js';
import { CudaDevice } from './device/device.js';
import { FUSED_NAMES, KERNELS } from './kernels/kernel_set.js';
import type { Policy } from './kernels/lowering.js';
import type { CudaLibraries } from './libraries.js';
import { loadCuda } from './load.js';

export const BACKEND_NAME = 'cuda';

export const GRAPH_OPTIONS: LazyGraphOptions = {
  /** A step of the full model needs 60 for each size of clips. */
  maxExecutables: 2000,
  minLayerNodes: 100,
};

export interface CudaStart extends CudaSettings {
  readonly libraries: CudaLibraries;
  /** Number of the GPU among those that CUDA_VISIBLE_DEVICES shows. */
  readonly ordinal: number;
}

/** The tfjs backend `cuda`. */
export class CudaBackend extends RecordingBackend<CudaTensor> {
  constructor(
    readonly device: CudaDevice,
    readonly settings: CudaSettings,
    /** Number of the GPU. */
    readonly ordinal: number,
    policy: Policy = policyOf(device, settings),
  ) {
    super({
      engine: BACKEND_NAME,
      tensors: new CudaTensorMemory(device),
      compiler: new CudaCompiler(device, policy),
      fusedKernels: FUSED_NAMES,
      lanes: 1,
      graph: GRAPH_OPTIONS,
    });
  }
}

/** The running backend; null before the first start. */
export function runningBackend(): CudaBackend | null {
  const backend: tf.KernelBackend | null = tf.findBackend(BACKEND_NAME);
  if (backend === null || backend instanceof CudaBackend) return backend;
  throw new EngineError(`another backend is registered with tfjs as "${BACKEND_NAME}"`);
}

/** The GPU of the current engine; null if that is not the cuda engine. */
export function currentDevice(): CudaDevice | null {
  return tf.getBackend() === BACKEND_NAME ? (runningBackend()?.device ?? null) : null;
}

/** Makes the cuda backend current; a process has at most one. Throws EngineError. */
export async function startBackend({ env }: Probe, start: CudaStart): Promise<CudaBackend> {
  const running = runningBackend();
  const backend = running ?? openBackend(env, start);
  if (!running) {
    tf.registerBackend(BACKEND_NAME, () => backend);
    registerKernels(BACKEND_NAME, KERNELS);
  }
  await tf.setBackend(BACKEND_NAME);
  return backend;
}

function openBackend(env: Probe['env'], { libraries, ordinal, ...settings }: CudaStart): CudaBackend {
  return new CudaBackend(CudaDevice.open(loadCuda(libraries), { ordinal, env }), settings, ordinal);
}

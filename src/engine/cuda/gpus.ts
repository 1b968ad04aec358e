/** @file The GPUs that the CUDA driver lists, and which one a request takes. */
import { gib } from '../../util/text.js';
import { gpuOfProcess } from '../gpu/gpu_of_process.js';
import type { Probe } from '../probe.js';
import type { EngineRequest, Problem } from '../types.js';
import { loadDriver } from './api/driver.js';
import { CudaError } from './api/error.js';
import { type DeviceInfo, readDeviceInfo } from './device/device_info.js';
import { readDriverVersion } from './load.js';

/** A GPU by its number among those that CUDA_VISIBLE_DEVICES shows. */
export interface CudaGpu extends Pick<DeviceInfo, 'name' | 'computeCapability' | 'memoryBytes'> {
  readonly ordinal: number;
}

/** The driver. Tests replace it. */
export interface CudaSource {
  /** The newest CUDA version that the library of a driver supports, 13000 for 13.0; null if it cannot be loaded. */
  driverVersion(path: string): number | null;
  /** The GPUs in the order of the driver, or why there are none. */
  gpus(path: string): readonly CudaGpu[] | Problem;
}

export const DRIVER_SOURCE: CudaSource = {
  driverVersion: readDriverVersion,
  gpus: (path) => {
    try {
      const driver = loadDriver(path);
      return Array.from({ length: driver.deviceCount() }, (_, ordinal) => ({
        ordinal,
        ...readDeviceInfo(driver, driver.device(ordinal)),
      }));
    } catch (error) {
      if (!(error instanceof CudaError)) throw error;
      return error.status === 'CUDA_ERROR_NO_DEVICE' ? [] : { what: error.message, remedy: DRIVER_REMEDY };
    }
  },
};

/** The oldest GPUs for which NVRTC makes code: Turing. */
const MIN_COMPUTE_CAPABILITY = [7, 5] as const;
/** The first GPUs with tensor cores for tf32 and bfloat16: Ampere. */
const TENSOR_CORES = [8, 0] as const;

const DRIVER_REMEDY =
  '`nvidia-smi` must list the GPU; after an update of the driver, restart the machine; in a container, start it with --gpus all';

/**
 * The GPU that STMIXER_GPU names, or else `gpuIndex`, or else the first one that is new enough: of several processes on a machine,
 * each takes the next one. Returns why there is none.
 */
export function chooseCudaGpu(
  gpus: readonly CudaGpu[],
  { gpuIndex = -1, local }: Pick<EngineRequest, 'gpuIndex' | 'local'>,
  env: Probe['env'],
): CudaGpu | Problem {
  if (gpus.length === 0) return noGpu(env);
  const named = namedGpu(gpus, gpuIndex < 0 ? null : gpuIndex, env);
  if (named && 'what' in named) return named;
  const gpu = named ?? gpuOfProcess(gpus.filter(isNewEnough), local, env) ?? gpus[0];
  if ('what' in gpu) return { ...gpu, isMisuse: true };
  if (isNewEnough(gpu)) return gpu;
  const what = `${gpu.name} has compute capability ${capabilityText(gpu)}; the engine cuda needs 7.5 or more`;
  return { what, remedy: 'use a GPU of the Turing generation or newer, or --device cpu' };
}

/** Why a GPU cannot compute in a precision; null if it can. */
export function precisionProblem(gpu: CudaGpu, precision: EngineRequest['precision']): Problem | null {
  if (precision === undefined || precision === 'float32' || isAtLeast(gpu, TENSOR_CORES)) return null;
  const what =
    `${gpu.name} has no tensor cores for ${precision}: they come with compute capability 8.0, and it has ` +
    capabilityText(gpu);
  return { what, remedy: 'set ENGINE.PRECISION float32' };
}

/** For lists of GPUs. */
export function describeCudaGpu(gpu: CudaGpu): string {
  const note = isNewEnough(gpu) ? '' : ' (too old)';
  const { ordinal, name, memoryBytes } = gpu;
  return `${ordinal}: ${name}, compute capability ${capabilityText(gpu)}, ${gib(memoryBytes)}${note}`;
}

export function capabilityText({ computeCapability }: Pick<CudaGpu, 'computeCapability'>): string {
  return computeCapability.join('.');
}

function isNewEnough(gpu: CudaGpu): boolean {
  return isAtLeast(gpu, MIN_COMPUTE_CAPABILITY);
}

function isAtLeast(
  { computeCapability: [major, minor] }: CudaGpu,
  [least, leastMinor]: readonly [number, number],
) {
  return major > least || (major === least && minor >= leastMinor);
}

function namedGpu(
  gpus: readonly CudaGpu[],
  index: number | null,
  env: Probe['env'],
): CudaGpu | Problem | null {
  const fromEnv = env.STMIXER_GPU?.trim();
  if (!fromEnv && index === null) return null;
  const name = fromEnv || String(index);
  const found = /^\d+$/.test(name)
    ? gpus.find(({ ordinal }) => ordinal === Number(name))
    : gpus.find((gpu) => gpu.name.toLowerCase().includes(name.toLowerCase()));
  if (found) return found;
  const list = gpus.map((gpu) => `${gpu.ordinal} (${gpu.name})`).join(', ');
  const [setting, remedy] = fromEnv
    ? [`STMIXER_GPU is '${name}'`, 'set it to a number or a part of a name from this list, or unset it']
    : [`ENGINE.GPU_INDEX is ${name}`, 'choose a number from this list'];
  return { what: `${setting}, but the GPUs of CUDA are ${list}`, remedy };
}

function noGpu({ CUDA_VISIBLE_DEVICES: visible }: Probe['env']): Problem {
  if (visible === undefined) return { what: 'the NVIDIA driver lists no GPU', remedy: DRIVER_REMEDY };
  const what = `CUDA_VISIBLE_DEVICES is '${visible}', which hides every GPU`;
  return { what, remedy: 'unset it, or set it to the number of a GPU' };
}

/** @file The memory that this process takes on a GPU. */
import type { GpuMemoryUse } from '../../types.js';
import type { CudaDevice } from './device.js';

/** About what a context takes with the code of the libraries; the driver does not tell. */
export const CONTEXT_BYTES = 500e6;

/** What the process has on the GPU, and what it can have in all. */
export function gpuMemoryOf({ region, driver }: Pick<CudaDevice, 'region' | 'driver'>): GpuMemoryUse {
  const { free, total } = driver.memory();
  const usedBytes = CONTEXT_BYTES + region.statistics.reserved;
  return { usedBytes, budgetBytes: Math.min(total, free + usedBytes) };
}

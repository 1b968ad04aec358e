/** @file Where the list of GPUs comes from. Tests replace it with a list of their own. */
import type { GpuMemoryUse } from '../types.js';
import type { GpuDevice } from './device.js';

/** Part of a machine without which no GPU is listed. */
export type MissingPart = 'loader' | 'driver';

export interface GpuListing {
  /** In the order of the Vulkan loader. */
  readonly devices: readonly GpuDevice[];
  /** Null if a driver answered. */
  readonly missing: MissingPart | null;
}

export interface GpuSource {
  /** Asks the drivers anew, with the environment as it is now. Never throws. */
  list(): GpuListing;
  /** The memory in use now of a device of the latest list. Cheap. Null if the driver does not report it. */
  memory(device: GpuDevice): GpuMemoryUse | null;
}

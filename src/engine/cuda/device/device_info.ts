/** @file The facts about a GPU that kernels and prices depend on. */
import type { CudaDriver } from '../api/driver.js';

export interface DeviceInfo {
  readonly name: string;
  /** [9, 0] for Hopper. */
  readonly computeCapability: readonly [major: number, minor: number];
  readonly multiprocessors: number;
  readonly memoryBytes: number;
  readonly l2Bytes: number;
  /** Bytes of static shared memory that a block may have. */
  readonly sharedMemoryPerBlock: number;
  readonly smClockKHz: number;
  readonly memoryClockKHz: number;
  readonly memoryBusBits: number;
  /** The newest CUDA version that the driver supports: 12040 for 12.4. */
  readonly driverVersion: number;
  /** As nvidia-smi writes it. */
  readonly uuid: string;
}

/** `device` is the driver's handle. */
export function readDeviceInfo(driver: CudaDriver, device: number): DeviceInfo {
  const attribute = (name: Parameters<CudaDriver['deviceAttribute']>[1]) =>
    driver.deviceAttribute(device, name);
  return {
    name: driver.deviceName(device),
    computeCapability: [attribute('computeCapabilityMajor'), attribute('computeCapabilityMinor')],
    multiprocessors: attribute('multiprocessors'),
    memoryBytes: driver.deviceMemory(device),
    l2Bytes: attribute('l2Bytes'),
    sharedMemoryPerBlock: attribute('sharedMemoryPerBlock'),
    smClockKHz: attribute('clockRate'),
    memoryClockKHz: attribute('memoryClockRate'),
    memoryBusBits: attribute('memoryBusWidth'),
    driverVersion: driver.version(),
    uuid: driver.deviceUuid(device),
  };
}

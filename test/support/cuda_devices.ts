/** @file Descriptions of GPUs in the form of cuDNN's device properties, to build plans for GPUs that are not there. */

export interface DeviceFacts {
  readonly deviceName: string;
  /** 100 · major + 10 · minor of the compute capability. */
  readonly deviceVer: number;
  readonly multiProcessorCount: number;
  readonly maxThreadsPerSM: number;
  readonly maxCtasPerSM: number;
  /** Bytes of shared memory that a block can ask for. */
  readonly maxSharedMemoryPerBlockOptin: number;
  readonly totalGlobalMem: number;
  readonly l2CacheSize: number;
  readonly smClockRateKHz: number;
  readonly memClockRateKHz: number;
  /** Device and vendor on the PCI bus. */
  readonly pciDeviceId: number;
}

/** What all of these GPUs have in common. */
const COMMON = {
  maxGridSize: [2_147_483_647, 65_535, 65_535],
  maxBlockSize: [1024, 1024, 64],
  regsPerBlock: 65_536,
  warpSize: 32,
  maxSharedMemoryPerBlock: 49_152,
  reservedSharedMemoryPerBlock: 1024,
  maxRegistersPerSM: 65_536,
  maxThreadsPerBlock: 1024,
  isTccDriver: 0,
  supportCoopLaunch: 1,
  cudaDeviceId: 0,
  driverVer: 13_000,
};

export const CUDA_DEVICES = {
  A100: {
    deviceName: 'NVIDIA A100-SXM4-80GB',
    deviceVer: 800,
    multiProcessorCount: 108,
    maxThreadsPerSM: 2048,
    maxCtasPerSM: 32,
    maxSharedMemoryPerBlockOptin: 166_912,
    totalGlobalMem: 85_031_714_816,
    l2CacheSize: 41_943_040,
    smClockRateKHz: 1_410_000,
    memClockRateKHz: 1_593_000,
    pciDeviceId: 0x20b2_10de,
  },
  H100: {
    deviceName: 'NVIDIA H100 80GB HBM3',
    deviceVer: 900,
    multiProcessorCount: 132,
    maxThreadsPerSM: 2048,
    maxCtasPerSM: 32,
    maxSharedMemoryPerBlockOptin: 232_448,
    totalGlobalMem: 85_014_020_096,
    l2CacheSize: 52_428_800,
    smClockRateKHz: 1_980_000,
    memClockRateKHz: 2_619_000,
    pciDeviceId: 0x2330_10de,
  },
  'RTX 4090': {
    deviceName: 'NVIDIA GeForce RTX 4090',
    deviceVer: 890,
    multiProcessorCount: 128,
    maxThreadsPerSM: 1536,
    maxCtasPerSM: 24,
    maxSharedMemoryPerBlockOptin: 101_376,
    totalGlobalMem: 25_393_692_672,
    l2CacheSize: 75_497_472,
    smClockRateKHz: 2_520_000,
    memClockRateKHz: 10_501_000,
    pciDeviceId: 0x2684_10de,
  },
} as const satisfies Record<string, DeviceFacts>;

export type CudaDeviceName = keyof typeof CUDA_DEVICES;

/** cuDNN's text of a GPU's properties. */
export const cudnnDescription = (facts: DeviceFacts): string => JSON.stringify({ ...COMMON, ...facts });

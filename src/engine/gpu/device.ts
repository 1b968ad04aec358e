/** @file GPUs as their drivers describe them. */
import { gib } from '../../util/text.js';

export type GpuType = 'discrete' | 'integrated' | 'virtual' | 'software' | 'other';

/** Limits with the names of Vulkan; sizes in bytes. */
export interface VulkanLimits {
  /** Part of a buffer that a shader can reach. */
  readonly maxStorageBufferRange: number;
  readonly maxMemoryAllocationSize: number;
  /** Null if the driver does not report it. */
  readonly maxBufferSize: number | null;
}

export interface GpuDevice {
  /** Number among the listed GPUs: `ENGINE.GPU_INDEX`. 0 is the GPU that Dawn takes by itself. */
  readonly index: number;
  readonly name: string;
  /** PCI numbers, or those that Khronos assigns. */
  readonly vendorId: number;
  readonly deviceId: number;
  readonly type: GpuType;
  /** Name and version of the driver. */
  readonly driver: string;
  /** The interface that Dawn uses. */
  readonly backend: 'Vulkan' | 'D3D12' | 'Metal';
  /** Version of the driver's Vulkan; null with Metal. */
  readonly vulkanVersion: string | null;
  /** 32 hexadecimal digits with dashes, on NVIDIA those of nvidia-smi; null with Metal. */
  readonly uuid: string | null;
  /** For example `0000:01:00.0`; null if it is not known. */
  readonly pciAddress: string | null;
  /** Bytes of memory that belongs to the GPU, or that it shares with the processor. */
  readonly memoryBytes: number;
  /** Null with Metal. */
  readonly limits: VulkanLimits | null;
  /** Names of features that Dawn requires and the driver lacks. */
  readonly missingFeatures: readonly string[];
}

/** PCI number of the vendor. */
export const NVIDIA = 0x10de;

/** Whether a device computes on the processor; some drivers of that kind do not say so. */
export function isSoftwareName(name: string): boolean {
  return /llvmpipe|lavapipe|swiftshader|basic render/i.test(name);
}

/** Whether both describe the same GPU, in lists made at different times. */
export function isSameGpu(a: GpuDevice, b: GpuDevice): boolean {
  return a.name === b.name && a.uuid === b.uuid && a.pciAddress === b.pciAddress;
}

/** For the log: name, driver and memory. */
export function describeGpu({ name, driver, memoryBytes }: GpuDevice): string {
  return `${name}, driver ${driver}, ${gib(memoryBytes)}`;
}

/** Largest buffer, and largest part of a buffer that a shader can reach, in bytes, as Dawn derives them from the driver. */
export function bufferLimits(device: GpuDevice): { bufferBytes: number; bindingBytes: number } {
  const { limits, backend, vendorId, memoryBytes } = device;
  if (backend === 'D3D12') return { bufferBytes: 2 ** 31, bindingBytes: 2 ** 31 };
  if (!limits) {
    // Metal has a limit that only Metal itself can tell. This is below that of every Mac with an M processor.
    const bytes = Math.min(2 ** 31, memoryBytes / 4);
    return { bufferBytes: bytes, bindingBytes: bytes };
  }
  const bufferBytes = limits.maxBufferSize ?? limits.maxMemoryAllocationSize;
  const range = vendorId === NVIDIA ? 2 ** 31 - 4 : limits.maxStorageBufferRange;
  const bindingBytes = Math.min(range, bufferBytes);
  return { bufferBytes, bindingBytes: bindingBytes - (bindingBytes % 4) };
}

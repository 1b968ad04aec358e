/** @file The structures of Vulkan for an instance and its devices: their numbers, sizes and offsets (vulkan_core.h, 64 bits). */
import koffi from 'koffi';
import type { GpuMemoryUse } from '../types.js';
import { type GpuDevice, type GpuType, isSoftwareName, type VulkanLimits } from './device.js';

/** A structure that has a type and a pointer to the next one in its first 16 bytes. */
interface Structure {
  readonly type: number;
  readonly size: number;
}

export const PROPERTIES: readonly Structure[] = [
  { type: 1000059001, size: 840 }, // VkPhysicalDeviceProperties2
  { type: 1000196000, size: 536 }, // VkPhysicalDeviceDriverProperties
  { type: 1000071004, size: 64 }, // VkPhysicalDeviceIDProperties
  { type: 1000168000, size: 32 }, // VkPhysicalDeviceMaintenance3Properties
  { type: 1000413001, size: 24 }, // VkPhysicalDeviceMaintenance4Properties
  { type: 1000212000, size: 32 }, // VkPhysicalDevicePCIBusInfoPropertiesEXT
];
export const MEMORY: readonly Structure[] = [
  { type: 1000059006, size: 536 }, // VkPhysicalDeviceMemoryProperties2
  { type: 1000237000, size: 272 }, // VkPhysicalDeviceMemoryBudgetPropertiesEXT
];
/** Size of VkPhysicalDeviceFeatures: 55 numbers that are 0 or 1. */
export const FEATURES_SIZE = 220;
/** Size of VkExtensionProperties: a name of 256 bytes and a version. */
export const EXTENSION_SIZE = 260;

/** Vulkan 1.1, which Dawn asks for. With another version the loader may sort the devices in another way. */
const API_VERSION = (1 << 22) | (1 << 12);

/** Features without which Dawn refuses a device, with their positions. */
const REQUIRED_FEATURES: Readonly<Record<string, number>> = {
  robustBufferAccess: 0,
  fullDrawIndexUint32: 1,
  imageCubeArray: 2,
  independentBlend: 3,
  sampleRateShading: 6,
  depthBiasClamp: 12,
  fragmentStoresAndAtomics: 26,
  shaderUniformBufferArrayDynamicIndexing: 33,
  shaderSampledImageArrayDynamicIndexing: 34,
  shaderStorageBufferArrayDynamicIndexing: 35,
  shaderStorageImageArrayDynamicIndexing: 36,
};
const TEXTURE_COMPRESSION = { ETC2: 20, ASTC: 21, BC: 22 };

const TYPES: readonly GpuType[] = ['other', 'integrated', 'discrete', 'virtual', 'software'];

/** Memory that native code may fill. The garbage collector does not move it. */
export function nativeMemory(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}

/** A VkInstanceCreateInfo of 64 bytes, followed by the VkApplicationInfo of 48 bytes that it points to. */
export function instanceInfo(): Buffer {
  const info = nativeMemory(64 + 48);
  info.writeUInt32LE(1, 0); // sType
  info.writeBigUInt64LE(koffi.address(info) + 64n, 24); // pApplicationInfo
  info.writeUInt32LE(API_VERSION, 64 + 44); // apiVersion
  return info;
}

/** Structures in one block of memory, each of which points to the next. */
export function chain(structures: readonly Structure[]): Buffer[] {
  const block = nativeMemory(structures.reduce((sum, { size }) => sum + size, 0));
  const address = koffi.address(block);
  let start = 0;
  return structures.map(({ type, size }, index) => {
    const part = block.subarray(start, start + size);
    start += size;
    part.writeUInt32LE(type, 0);
    if (index < structures.length - 1) part.writeBigUInt64LE(address + BigInt(start), 8);
    return part;
  });
}

/** The names of device extensions. */
export function extensionNames(array: Buffer): Set<string> {
  const count = array.length / EXTENSION_SIZE;
  return new Set(Array.from({ length: count }, (_, i) => text(array, i * EXTENSION_SIZE, 256)));
}

/** Reads a device from the structures `PROPERTIES` and `MEMORY`, its features and its extensions. */
export function readDevice(
  [properties, driver, id, maintenance3, maintenance4, pci]: readonly Buffer[],
  [memory]: readonly Buffer[],
  features: Buffer,
  extensions: ReadonlySet<string>,
): Omit<GpuDevice, 'index' | 'backend'> {
  const own = properties.subarray(16);
  const limits = own.subarray(296);
  const name = text(own, 20, 256);
  const heaps = localHeaps(memory);
  const driverText = `${text(driver, 20, 256)} ${text(driver, 276, 256)}`.trim();
  return {
    name,
    vendorId: own.readUInt32LE(8),
    deviceId: own.readUInt32LE(12),
    type: isSoftwareName(name) ? 'software' : (TYPES[own.readUInt32LE(16)] ?? 'other'),
    driver: driverText || version(own.readUInt32LE(4)),
    vulkanVersion: version(own.readUInt32LE(0)),
    uuid: id.toString('hex', 16, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    pciAddress: extensions.has('VK_EXT_pci_bus_info') ? pciAddress(pci) : null,
    memoryBytes: heaps.reduce((sum, { bytes }) => sum + bytes, 0),
    limits: readLimits(limits, maintenance3, maintenance4),
    missingFeatures: missingFeatures(features),
  };
}

/** Sums what the heaps of the GPU's own memory hold, from the structures `MEMORY`. */
export function readMemoryUse([memory, budget]: readonly Buffer[]): GpuMemoryUse {
  const sum = (start: number) =>
    localHeaps(memory).reduce((total, { heap }) => total + u64(budget, start + 8 * heap), 0);
  return { budgetBytes: sum(16), usedBytes: sum(144) };
}

function readLimits(limits: Buffer, maintenance3: Buffer, maintenance4: Buffer): VulkanLimits {
  return {
    maxStorageBufferRange: limits.readUInt32LE(28),
    maxMemoryAllocationSize: u64(maintenance3, 24),
    maxBufferSize: u64(maintenance4, 16) || null,
  };
}

/** The heaps with the flag VK_MEMORY_HEAP_DEVICE_LOCAL_BIT, in VkPhysicalDeviceMemoryProperties. */
function localHeaps(memory: Buffer): { heap: number; bytes: number }[] {
  const count = memory.readUInt32LE(16 + 260);
  return Array.from({ length: count }, (_, heap) => ({ heap, start: 16 + 264 + 16 * heap }))
    .filter(({ start }) => memory.readUInt32LE(start + 8) & 1)
    .map(({ heap, start }) => ({ heap, bytes: u64(memory, start) }));
}

function missingFeatures(features: Buffer): string[] {
  const has = (position: number) => features.readUInt32LE(4 * position) !== 0;
  const missing = Object.keys(REQUIRED_FEATURES).filter((name) => !has(REQUIRED_FEATURES[name]));
  const { ETC2, ASTC, BC } = TEXTURE_COMPRESSION;
  return has(BC) || (has(ETC2) && has(ASTC)) ? missing : [...missing, 'textureCompressionBC'];
}

function pciAddress(pci: Buffer): string {
  const hex = (offset: number, digits: number) => pci.readUInt32LE(offset).toString(16).padStart(digits, '0');
  return `${hex(16, 4)}:${hex(20, 2)}:${hex(24, 2)}.${hex(28, 1)}`;
}

/** A version as Vulkan packs it. */
function version(packed: number): string {
  return `${(packed >>> 22) & 0x7f}.${(packed >>> 12) & 0x3ff}.${packed & 0xfff}`;
}

function text(buffer: Buffer, start: number, length: number): string {
  return buffer
    .toString('utf8', start, start + length)
    .split('\0')[0]
    .trim();
}

function u64(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}

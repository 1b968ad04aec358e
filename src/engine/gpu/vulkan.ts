/** @file Lists GPUs with the Vulkan loader, through koffi. */
import type { LibraryHandle } from 'koffi';
import { loadLibrary } from '../../util/native/load_library.js';
import type { GpuMemoryUse } from '../types.js';
import { type GpuDevice, isSameGpu } from './device.js';
import type { GpuListing, GpuSource } from './source.js';
import * as structures from './vulkan_structures.js';

/** A native address; 0 is null. */
type Pointer = bigint;

interface VulkanApi {
  createInstance(info: Buffer, allocator: null, result: Buffer): number;
  destroyInstance(instance: Pointer, allocator: null): void;
  enumerateDevices(instance: Pointer, count: Buffer, devices: Buffer | null): number;
  enumerateExtensions(device: Pointer, layer: null, count: Buffer, extensions: Buffer | null): number;
  properties(device: Pointer, result: Buffer): void;
  memoryProperties(device: Pointer, result: Buffer): void;
  features(device: Pointer, result: Buffer): void;
}

interface ListedDevice {
  readonly device: GpuDevice;
  readonly handle: Pointer;
  readonly hasBudget: boolean;
}

export class VulkanSource implements GpuSource {
  #api: VulkanApi | null = null;
  /** The instance of the latest list, to which its devices belong; 0 before the first list. */
  #instance: Pointer = 0n;
  #listed: ListedDevice[] = [];

  constructor(private readonly platform: string) {}

  list(): GpuListing {
    try {
      this.#api ??= loadVulkan(this.platform);
    } catch {
      return { devices: [], missing: 'loader' };
    }
    this.#close(this.#api);
    this.#listed = this.#open(this.#api);
    const devices = this.#listed.map(({ device }) => device);
    return { devices, missing: devices.length === 0 ? 'driver' : null };
  }

  memory(device: GpuDevice): GpuMemoryUse | null {
    const listed = this.#listed.find((other) => isSameGpu(other.device, device));
    if (!this.#api || !listed?.hasBudget) return null;
    const memory = structures.chain(structures.MEMORY);
    this.#api.memoryProperties(listed.handle, memory[0]);
    return structures.readMemoryUse(memory);
  }

  /** Makes an instance, which reads the environment, and lists its devices. */
  #open(api: VulkanApi): ListedDevice[] {
    const instance = structures.nativeMemory(8);
    if (api.createInstance(structures.instanceInfo(), null, instance) !== 0) return [];
    this.#instance = instance.readBigUInt64LE();
    const handles = twice(8, (count, array) => api.enumerateDevices(this.#instance, count, array));
    return Array.from({ length: handles.length / 8 }, (_, index) =>
      describe(api, handles.readBigUInt64LE(8 * index), {
        index,
        backend: this.platform === 'win32' ? 'D3D12' : 'Vulkan',
      }),
    );
  }

  #close(api: VulkanApi): void {
    if (this.#instance !== 0n) api.destroyInstance(this.#instance, null);
    this.#instance = 0n;
    this.#listed = [];
  }
}

function describe(
  api: VulkanApi,
  handle: Pointer,
  place: Pick<GpuDevice, 'index' | 'backend'>,
): ListedDevice {
  const properties = structures.chain(structures.PROPERTIES);
  api.properties(handle, properties[0]);
  const memory = structures.chain(structures.MEMORY);
  api.memoryProperties(handle, memory[0]);
  const features = structures.nativeMemory(structures.FEATURES_SIZE);
  api.features(handle, features);
  const extensions = structures.extensionNames(
    twice(structures.EXTENSION_SIZE, (count, array) => api.enumerateExtensions(handle, null, count, array)),
  );
  const device = { ...place, ...structures.readDevice(properties, memory, features, extensions) };
  return { device, handle, hasBudget: extensions.has('VK_EXT_memory_budget') };
}

/** Calls a function that returns the length of an array first, and then the array. Returns an empty array if it fails. */
function twice(size: number, call: (count: Buffer, array: Buffer | null) => number): Buffer {
  const count = structures.nativeMemory(4);
  if (call(count, null) !== 0) return Buffer.alloc(0);
  const array = structures.nativeMemory(size * count.readUInt32LE());
  return call(count, array) < 0 ? Buffer.alloc(0) : array.subarray(0, size * count.readUInt32LE());
}

/** Throws if there is no loader, or only one of Vulkan 1.0. */
function loadVulkan(platform: string): VulkanApi {
  const library = loadLibrary(platform === 'win32' ? 'vulkan-1.dll' : 'libvulkan.so.1');
  return {
    createInstance: native(library, 'vkCreateInstance', 'int', ['void *', 'void *', 'void *']),
    destroyInstance: native(library, 'vkDestroyInstance', 'void', ['int64', 'void *']),
    enumerateDevices: native(library, 'vkEnumeratePhysicalDevices', 'int', ['int64', 'void *', 'void *']),
    enumerateExtensions: native(library, 'vkEnumerateDeviceExtensionProperties', 'int', [
      ...['int64', 'void *', 'void *', 'void *'],
    ]),
    properties: native(library, 'vkGetPhysicalDeviceProperties2', 'void', ['int64', 'void *']),
    memoryProperties: native(library, 'vkGetPhysicalDeviceMemoryProperties2', 'void', ['int64', 'void *']),
    features: native(library, 'vkGetPhysicalDeviceFeatures', 'void', ['int64', 'void *']),
  };
}

function native<F>(library: LibraryHandle, name: string, result: string, parameters: string[]): F {
  return library.func(name, result, parameters) as F;
}

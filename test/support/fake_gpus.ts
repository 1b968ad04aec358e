/** @file GPUs made of a few facts, behind a Vulkan loader that honours the same variables as the real one. */
import { type GpuDevice, NVIDIA } from '../../src/engine/gpu/device.js';
import type { GpuSource, MissingPart } from '../../src/engine/gpu/source.js';

/** A GPU with everything that Dawn requires. */
export function fakeGpu(facts: Partial<GpuDevice> & { name: string }): GpuDevice {
  return {
    index: 0,
    vendorId: NVIDIA,
    deviceId: 0x2330,
    type: 'discrete',
    driver: 'NVIDIA 550.54.15',
    backend: 'Vulkan',
    vulkanVersion: '1.3.277',
    uuid: null,
    pciAddress: null,
    memoryBytes: 80 * 2 ** 30,
    limits: {
      maxStorageBufferRange: 2 ** 32 - 1,
      maxMemoryAllocationSize: 2 ** 32 - 64,
      maxBufferSize: 2 ** 40,
    },
    missingFeatures: [],
    ...facts,
  };
}

/** Mesa's software GPU. */
export const LLVMPIPE = fakeGpu({
  name: 'llvmpipe (LLVM 15.0.6, 256 bits)',
  vendorId: 0x10005,
  deviceId: 0,
  type: 'software',
  driver: 'llvmpipe Mesa 25.0.7',
});

/** What a fake loader understands, besides the choice of drivers. */
export interface FakeLoader {
  /** VK_LOADER_DEVICE_SELECT. */
  select?: boolean;
  /** Mesa's layer device_select. */
  layer?: boolean;
  /** VK_LOADER_DEVICE_ID_FILTER and VK_LOADER_VENDOR_ID_FILTER. */
  filter?: boolean;
}

/** A part of the name of each driver's manifest, by the vendor. */
const MANIFESTS = new Map([
  [NVIDIA, 'nvidia'],
  [0x8086, 'intel'],
  [0x1af4, 'virtio'],
  [0x10005, 'lvp'],
]);

/** Lists devices as a Vulkan loader would in the environment `env`. */
export function fakeVulkan(
  devices: readonly GpuDevice[],
  env: Readonly<Record<string, string | undefined>>,
  { select = false, layer = false, filter = false }: FakeLoader = {},
): GpuSource {
  const ids = ({ vendorId, deviceId }: GpuDevice) => `${vendorId.toString(16)}:${deviceId.toString(16)}`;
  const list = () => {
    let found = devices.filter(
      ({ vendorId }) => env.VK_DRIVER_FILES?.includes(String(MANIFESTS.get(vendorId))) ?? true,
    );
    const first = found.find(
      (device) => select && env.VK_LOADER_DEVICE_SELECT?.replaceAll('0x', '') === ids(device),
    );
    if (first) found = [first, ...found.filter((device) => device !== first)];
    if (filter && env.VK_LOADER_DEVICE_ID_FILTER)
      found = found.filter(
        ({ vendorId, deviceId }) =>
          String(deviceId) === env.VK_LOADER_DEVICE_ID_FILTER &&
          String(vendorId) === env.VK_LOADER_VENDOR_ID_FILTER,
      );
    const only = found.find((device) =>
      env.MESA_VK_DEVICE_SELECT
        ? env.MESA_VK_DEVICE_SELECT === ids(device)
        : env.DRI_PRIME === `pci-${device.pciAddress?.replaceAll(/[:.]/g, '_')}`,
    );
    return layer && only ? [only] : found;
  };
  return {
    list() {
      const found = list();
      const missing: MissingPart | null = found.length === 0 ? 'driver' : null;
      return { devices: found.map((device, index) => ({ ...device, index })), missing };
    },
    memory: () => ({ usedBytes: 1, budgetBytes: 2 }),
  };
}

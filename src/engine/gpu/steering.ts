/** @file Ways to make Dawn take another GPU than it would by itself. */
import type { Probe } from '../probe.js';
import type { PowerPreference } from './dawn_order.js';
import type { GpuDevice } from './device.js';
import { driverManifests } from './missing_gpu.js';

/** Environment variables; undefined removes one. */
export type EnvironmentChange = Readonly<Record<string, string | undefined>>;

export interface Steering {
  readonly env: EnvironmentChange;
  readonly preference: PowerPreference;
}

/**
 * Ways to make Dawn take `device`, the gentlest first. Which one works depends on the version of the Vulkan loader and on
 * Mesa's layers, so the caller tries each and lists the GPUs again.
 */
export function steerings(device: GpuDevice, probe: Probe): Steering[] {
  const unchanged: Steering = { env: {}, preference: 'high-performance' };
  const lowPower: Steering = { env: {}, preference: 'low-power' };
  // Dawn on D3D12 and Metal reads no variables.
  if (device.backend !== 'Vulkan') return [unchanged, lowPower];
  const changes = [preferred(device), onlyWithMesa(device), onlyWithFilter(device), ...onlyDriver(probe)];
  return [unchanged, lowPower, ...changes.map((env) => ({ ...unchanged, env }))];
}

/** Moves the first GPU with these numbers to the front. Vulkan loaders of Linux since 1.3.204. */
function preferred({ vendorId, deviceId }: GpuDevice): EnvironmentChange {
  return { VK_LOADER_DEVICE_SELECT: `0x${hex(vendorId)}:0x${hex(deviceId)}` };
}

/** Hides all GPUs but one, by PCI address if it is known. Needs the layer device_select of the package mesa-vulkan-drivers. */
function onlyWithMesa({ vendorId, deviceId, pciAddress }: GpuDevice): EnvironmentChange {
  const only = { MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE: '1', NODEVICE_SELECT: undefined };
  if (pciAddress === null) return { ...only, MESA_VK_DEVICE_SELECT: `${hex(vendorId)}:${hex(deviceId)}` };
  const address = pciAddress.replaceAll(/[:.]/g, '_');
  return { ...only, MESA_VK_DEVICE_SELECT: undefined, DRI_PRIME: `pci-${address}` };
}

/** Hides all GPUs with other numbers. Vulkan loaders since 1.4.326. */
function onlyWithFilter({ vendorId, deviceId }: GpuDevice): EnvironmentChange {
  return { VK_LOADER_VENDOR_ID_FILTER: String(vendorId), VK_LOADER_DEVICE_ID_FILTER: String(deviceId) };
}

/** Leaves one driver. Every Vulkan loader. */
function onlyDriver(probe: Probe): EnvironmentChange[] {
  return driverManifests(probe).map((path) => ({ VK_DRIVER_FILES: path, VK_ICD_FILENAMES: path }));
}

function hex(number: number): string {
  return number.toString(16);
}

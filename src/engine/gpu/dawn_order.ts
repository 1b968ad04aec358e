/** @file The order in which Dawn, the WebGPU implementation in ONNX Runtime, prefers GPUs. */
import type { GpuDevice, GpuType } from './device.js';

/** ONNX Runtime's option `ep.webgpuexecutionprovider.powerPreference`. */
export type PowerPreference = 'high-performance' | 'low-power';

/** Ranks of the kinds of GPUs; source: SortAdapters in Dawn's src/dawn/native/Adapter.cpp. */
const RANKS: Readonly<Record<PowerPreference, Readonly<Record<GpuType, number>>>> = {
  'high-performance': { discrete: 0, integrated: 1, software: 2, virtual: 3, other: 3 },
  'low-power': { integrated: 0, discrete: 1, software: 2, virtual: 3, other: 3 },
};

/** Sorts devices as Dawn does. Those of one kind keep the order of the Vulkan loader. */
export function dawnOrder(
  devices: readonly GpuDevice[],
  preference: PowerPreference = 'high-performance',
): GpuDevice[] {
  const rank = ({ type }: GpuDevice) => RANKS[preference][type];
  return [...devices].sort((a, b) => rank(a) - rank(b));
}

/** The GPU that Dawn takes. Undefined if it refuses all. */
export function dawnChoice(
  devices: readonly GpuDevice[],
  preference: PowerPreference,
): GpuDevice | undefined {
  return dawnOrder(devices, preference).find(isAccepted);
}

/** Whether Dawn accepts a device. */
export function isAccepted({ missingFeatures, vulkanVersion }: GpuDevice): boolean {
  return missingFeatures.length === 0 && !isTooOld(vulkanVersion);
}

/** Whether a driver's Vulkan is older than 1.1, which Dawn requires. */
export function isTooOld(vulkanVersion: string | null): boolean {
  return vulkanVersion?.startsWith('1.0.') ?? false;
}

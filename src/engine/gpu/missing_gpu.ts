/** @file Finds out why the Vulkan loader lists no GPU. */
import type { Probe } from '../probe.js';
import type { Problem } from '../types.js';
import type { GpuListing } from './source.js';

/** Folders where drivers leave their manifests. */
const MANIFEST_FOLDERS = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/share/vulkan/icd.d'];

/** Whether this machine shows signs of a GPU. Loads nothing. */
export function hasGpuHardware({ platform, list, exists }: Probe): boolean {
  if (platform !== 'linux') return true;
  const isDriverLoaded = ['/proc/driver/nvidia/version', '/dev/dxg'].some(exists);
  return isDriverLoaded || list('/dev/dri').some((name) => name.startsWith('renderD'));
}

/** Reasons why `listing` has no real GPU, each with a remedy. Empty if the machine gives no hint. */
export function reasonsForNoGpu({ missing }: GpuListing, probe: Probe): Problem[] {
  if (probe.platform === 'darwin') return missing ? [NO_METAL] : [];
  const hints = probe.platform === 'linux' ? [...nvidiaHints(probe), ...accessHints(probe)] : [];
  if (missing === 'loader') return [noLoader(probe), ...hints];
  return missing === null || hints.length > 0 ? hints : [noDriver(probe)];
}

/** Paths of the manifests of Vulkan drivers, those of the user's own setting first. Linux only. */
export function driverManifests(probe: Probe): string[] {
  const set = probe.env.VK_DRIVER_FILES || probe.env.VK_ICD_FILENAMES;
  if (set) return set.split(':').filter(Boolean);
  return MANIFEST_FOLDERS.flatMap((folder) =>
    probe
      .list(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => `${folder}/${name}`),
  );
}

const NO_METAL: Problem = {
  what: 'system_profiler lists no GPU',
  remedy:
    'run `system_profiler SPDisplaysDataType -json` in a terminal to see why, or use --device cpu, which needs none',
};

function noLoader({ platform }: Probe): Problem {
  if (platform === 'win32')
    return {
      what: 'there is no vulkan-1.dll',
      remedy: "install the driver from the GPU's vendor, which brings it",
    };
  const remedy = 'install it: apt-get install libvulkan1 (Fedora: dnf install vulkan-loader)';
  return { what: 'there is no Vulkan loader (libvulkan.so.1)', remedy };
}

function noDriver({ platform }: Probe): Problem {
  const what = 'the Vulkan loader finds no GPU with a driver';
  if (platform === 'win32') return { what, remedy: "install the driver from the GPU's vendor" };
  const remedy =
    "for AMD and Intel: apt-get install mesa-vulkan-drivers; for NVIDIA: the vendor's driver with its graphics part";
  return { what, remedy };
}

function nvidiaHints(probe: Probe): Problem[] {
  if (!probe.exists('/proc/driver/nvidia/version')) return [];
  const manifests = driverManifests(probe);
  if (manifests.some((path) => /nvidia/i.test(path))) {
    const what = "NVIDIA's Vulkan driver is installed but does not start";
    return [{ what, remedy: 'it needs some libraries of X11: apt-get install libx11-6 libxext6 libegl1' }];
  }
  const what = "NVIDIA's kernel module is loaded, but its Vulkan driver (nvidia_icd.json) is not here";
  const capabilities = probe.env.NVIDIA_DRIVER_CAPABILITIES?.split(',') ?? [];
  const isContainer =
    probe.exists('/.dockerenv') ||
    probe.exists('/run/.containerenv') ||
    'NVIDIA_VISIBLE_DEVICES' in probe.env;
  const hasGraphics = capabilities.includes('all') || capabilities.includes('graphics');
  const remedy =
    isContainer && !hasGraphics
      ? 'start the container with -e NVIDIA_DRIVER_CAPABILITIES=all'
      : 'install the graphics part of the driver (on Debian nvidia-vulkan-icd, on Ubuntu libnvidia-gl-VERSION), outside the container if there is one';
  return [{ what, remedy }];
}

function accessHints(probe: Probe): Problem[] {
  const nodes = probe.list('/dev/dri').filter((name) => name.startsWith('renderD'));
  // Writing is what a driver needs; `test` asks the system without opening the device.
  const isOpen = nodes.some((name) => probe.run('test', ['-w', `/dev/dri/${name}`]) !== null);
  if (nodes.length === 0 || isOpen) return [];
  const what = `this user may not open /dev/dri/${nodes[0]}`;
  const remedy =
    'join its group: sudo usermod -aG render,video "$USER", then log in again; in a container: --group-add';
  return [{ what, remedy }];
}

/** @file Checks the requirements of TensorFlow on a GPU one by one. */
import { join } from 'node:path';
import type { Probe } from '../probe.js';
import type { GpuInfo, Problem } from '../types.js';
import { findInstall, GPU_PACKAGE, installProblems, setupCommand } from './install.js';

/** The tensorflow wheels hold code for Pascal (6.0) and later; for GPUs newer than the wheel the driver compiles it. */
const MIN_COMPUTE_CAPABILITY = 6;
/** First driver series that runs CUDA 12 programs. */
const MIN_DRIVER = 525;
/** Folders of libraries in addition to those in the loader's cache. */
const LIBRARY_FOLDERS = [
  '/usr/local/cuda/lib64',
  '/usr/local/nvidia/lib64',
  '/usr/local/nvidia/lib',
  '/usr/lib/wsl/lib',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib64',
];
/** Libraries without which libtensorflow reports no GPU. */
const CUDA_LIBRARIES = [
  'libcudart',
  'libcublas',
  'libcublasLt',
  'libcufft',
  'libcusolver',
  'libcusparse',
  'libcudnn',
];

/** A GPU as nvidia-smi describes it. */
export type NvidiaGpu = GpuInfo & { readonly computeCapability: number };

/** Finds the reasons why TensorFlow cannot compute on an NVIDIA GPU here, without loading anything. */
export function cudaProblems(probe: Probe): Problem[] {
  if (probe.platform !== 'linux' || probe.arch !== 'x64') {
    const what = `CUDA runs on Linux x64 only; this is ${probe.platform} ${probe.arch}`;
    return [{ what, remedy: 'use --device cpu, or (on Windows) run inside WSL 2' }];
  }
  return [...driverProblems(probe), ...installProblems(probe, GPU_PACKAGE), ...libraryProblems(probe)];
}

/** Whether an NVIDIA driver is installed, working or not. */
export function hasNvidiaDriver(probe: Probe): boolean {
  return probe.exists('/proc/driver/nvidia/version') || hasLibrary(probe, 'libcuda.so.1');
}

/** The GPU that a run would use: the first of CUDA_VISIBLE_DEVICES, else the first. Null if nvidia-smi reports none. */
export function visibleGpu(probe: Probe): NvidiaGpu | null {
  const query = '--query-gpu=index,uuid,name,compute_cap,driver_version';
  const lines = probe.run('nvidia-smi', [query, '--format=csv,noheader'])?.trim().split('\n') ?? [];
  const gpus = lines
    .map((line) => line.split(',').map((field) => field.trim()))
    .filter((row) => row.length === 5);
  const wanted = firstVisibleDevice(probe) ?? '0';
  const row = gpus.find(([index, uuid]) => index === wanted || uuid.startsWith(wanted)) ?? gpus[0];
  return row ? { name: row[2], computeCapability: Number(row[3]), driver: row[4] } : null;
}

/** First entry of CUDA_VISIBLE_DEVICES, null if it is not set. */
export function firstVisibleDevice(probe: Probe): string | null {
  return probe.env.CUDA_VISIBLE_DEVICES?.split(',')[0].trim() ?? null;
}

/** Finds the reasons why the NVIDIA driver does not work, without loading it. */
export function driverProblems(probe: Probe): Problem[] {
  const install = "install NVIDIA's driver (525 or newer) and restart; `nvidia-smi` must list the GPU";
  const isLoaded = probe.exists('/proc/driver/nvidia/version') || probe.exists('/dev/dxg');
  const hasDriverLibrary = hasLibrary(probe, 'libcuda.so.1');
  if (!isLoaded && !hasDriverLibrary) {
    const what = 'no NVIDIA driver: neither /proc/driver/nvidia nor libcuda.so.1 is there';
    return [{ what, remedy: `${install}; in a container, start it with --gpus all` }];
  }
  if (!hasDriverLibrary) {
    const what = "the NVIDIA driver's library libcuda.so.1 is not found, though its kernel module is loaded";
    return [
      {
        what,
        remedy:
          'in a container, start it with --gpus all (NVIDIA Container Toolkit); else reinstall the driver',
      },
    ];
  }
  if (!isLoaded) {
    const what = 'libcuda.so.1 is there, but the NVIDIA kernel module is not loaded (no /proc/driver/nvidia)';
    return [{ what, remedy: install }];
  }
  const first = firstVisibleDevice(probe);
  if (first !== null && (first === '' || first.startsWith('-'))) {
    const what = `CUDA_VISIBLE_DEVICES is '${probe.env.CUDA_VISIBLE_DEVICES}', which hides every GPU`;
    return [{ what, remedy: 'unset it, or set it to the number of a GPU' }];
  }
  return gpuProblems(visibleGpu(probe), install);
}

function gpuProblems(gpu: NvidiaGpu | null, install: string): Problem[] {
  // A driver without nvidia-smi is rare but works, so nothing is known about the GPU.
  if (!gpu) return [];
  const problems: Problem[] = [];
  if (gpu.computeCapability < MIN_COMPUTE_CAPABILITY) {
    const what = `${gpu.name} has compute capability ${gpu.computeCapability.toFixed(1)}; libtensorflow needs 6.0 or more`;
    problems.push({ what, remedy: 'use a GPU of the Pascal generation or newer, or --device cpu' });
  }
  if (Number.parseInt(gpu.driver, 10) < MIN_DRIVER)
    problems.push({ what: `the NVIDIA driver ${gpu.driver} is too old for CUDA 12`, remedy: install });
  return problems;
}

function libraryProblems(probe: Probe): Problem[] {
  const gpuInstall = findInstall(probe, GPU_PACKAGE);
  if (!gpuInstall || !probe.exists(gpuInstall.binding)) return [];
  const remedy = `run: ${setupCommand(GPU_PACKAGE, '--force')}`;
  if (gpuInstall.record?.cuda === false) {
    const what = `the libtensorflow of ${GPU_PACKAGE} (${gpuInstall.record.source}) was built without CUDA`;
    return [{ what, remedy }];
  }
  const nvidia = join(gpuInstall.folder, 'deps', 'nvidia');
  const folders = probe.list(nvidia).map((name) => join(nvidia, name, 'lib'));
  const missing = CUDA_LIBRARIES.filter((name) => !hasLibrary(probe, `${name}.so.`, folders));
  if (missing.length === 0) return [];
  const what = `CUDA libraries are not found: ${missing.map((name) => `${name}.so`).join(', ')}`;
  return [{ what, remedy: `${remedy} (it brings them along), or add their folder to LD_LIBRARY_PATH` }];
}

/** Whether the loader's folders, or those in `more`, hold a library whose file name begins with `prefix`. */
function hasLibrary(probe: Probe, prefix: string, more: string[] = []): boolean {
  const fromEnv = (probe.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean);
  return (
    [...more, ...fromEnv, ...LIBRARY_FOLDERS].some((folder) =>
      probe.list(folder).some((file) => file.startsWith(prefix)),
    ) ||
    (probe.readText('/etc/ld.so.cache')?.includes(`/${prefix}`) ?? false)
  );
}

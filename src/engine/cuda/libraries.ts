/** @file Finds the libraries of CUDA: the driver, NVRTC, cuBLASLt, cuDNN and NCCL. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Probe } from '../probe.js';
import { driverProblems } from '../tensorflow/cuda.js';
import type { Problem } from '../types.js';
import { folderFiles, libraryPlaces, type Place, systemFolders } from './library_places.js';

/** The versions of CUDA that this code is written for, the newest first. The newest needs a driver of at least its number. */
export const CUDA_MAJORS = [13, 12] as const;
export type CudaMajor = (typeof CUDA_MAJORS)[number];

/** First series of drivers for each version of CUDA. */
const DRIVER_SERIES: Readonly<Record<CudaMajor, number>> = { 13: 580, 12: 525 };
const DRIVER = 'libcuda.so.1';

/** Paths of the libraries. */
export interface CudaLibraries {
  readonly driver: string;
  /** The newest CUDA version that the driver supports: 13000 for 13.0. */
  readonly driverVersion: number;
  /** The CUDA version of NVRTC and the others. */
  readonly major: CudaMajor;
  readonly nvrtc: string;
  /** Libraries to load before NVRTC, which opens them by name. */
  readonly nvrtcBuiltins: readonly string[];
  /** Null if it is not installed: own kernels multiply matrices then. */
  readonly cublasLt: string | null;
  /** Null if it is not installed: own kernels replace it. */
  readonly cudnn: string | null;
}

export interface LibrarySearch {
  /** Null if a library is missing without which nothing works. */
  readonly libraries: CudaLibraries | null;
  /** What is missing; with `libraries`, only what makes it slower. */
  readonly problems: readonly Problem[];
}

export interface SearchOptions {
  readonly probe: Probe;
  /** The version that a driver's library reports (cuDriverGetVersion); null if it cannot be loaded. */
  readonly driverVersion: (path: string) => number | null;
  /** The folder that the set-up fills. */
  readonly ownFolder?: string;
}

/** The folder that `npm run setup:cuda` fills, in the folder of this package. */
export function ownLibraries(packageFolder: string): string {
  return join(packageFolder, 'deps', 'cuda');
}

/** The package's folder, for modules of src and for those of dist. */
const PACKAGE_FOLDER = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Finds the libraries without loading any but the driver. STMIXER_CUDA_PATH comes first, then what the set-up unpacked, a CUDA
 * toolkit, NVIDIA's packages in a Python, conda's libraries, and the folders of the loader. The first NVRTC that suits the driver
 * decides on the version of CUDA.
 */
export function findCudaLibraries({ probe, driverVersion, ownFolder }: SearchOptions): LibrarySearch {
  if (probe.platform !== 'linux') {
    const what = `CUDA runs on Linux only; this is ${probe.platform}`;
    return failed({ what, remedy: 'use --device gpu, or (on Windows) run inside WSL 2' });
  }
  const driver = findDriver(probe, driverVersion);
  if (!('path' in driver)) return { libraries: null, problems: driver.problems };
  const majors = CUDA_MAJORS.filter((major) => driver.version >= 1000 * major);
  if (majors.length === 0) return failed(oldDriver(driver.version));

  const places = [...libraryPlaces(probe, ownFolder ?? ownLibraries(PACKAGE_FOLDER))];
  const nvrtc = findNvrtc(probe, places, majors);
  if (!nvrtc) {
    const versions = majors.map((major) => `libnvrtc.so.${major}`).join(' or ');
    const what = `NVRTC, which compiles the kernels, is not found (${versions})`;
    return failed({ what, remedy: setupRemedy() });
  }
  const { major, path, builtins } = nvrtc;
  const cublasLt = findLibrary(probe, places, `libcublasLt.so.${major}`);
  const cudnn = findCudnn(probe, places, major);
  const problems = [
    ...(cublasLt ? [] : [missing(`cuBLASLt (libcublasLt.so.${major})`, 'matrix products')]),
    ...(cudnn ? [] : [missing('cuDNN (libcudnn.so.9)', 'attention and convolution')]),
  ];
  const found = { driver: driver.path, driverVersion: driver.version, major, nvrtc: path };
  return { libraries: { ...found, nvrtcBuiltins: builtins, cublasLt, cudnn }, problems };
}

/** The driver, or why there is none. */
type Driver = { readonly path: string; readonly version: number } | { readonly problems: readonly Problem[] };

/** The driver that the loader finds, or that of STMIXER_CUDA_PATH. */
export function findDriver(probe: Probe, driverVersion: SearchOptions['driverVersion']): Driver {
  const folders = [...namedFolders(probe), ...systemFolders(probe)];
  const files = folders.map((folder) => join(folder, DRIVER)).filter((path) => probe.exists(path));
  for (const path of [...files, DRIVER]) {
    const version = driverVersion(path);
    if (version !== null) return { path, version };
  }
  const problems = driverProblems(probe);
  if (problems.length > 0) return { problems };
  return {
    problems: [
      {
        what: `the NVIDIA driver's library ${DRIVER} cannot be loaded`,
        remedy: 'reinstall the driver; `nvidia-smi` must list the GPU',
      },
    ],
  };
}

/** The highest version in the first place that has one. */
function findNvrtc(probe: Probe, places: readonly Place[], majors: readonly CudaMajor[]) {
  for (const place of places)
    for (const major of majors) {
      const path = findLibrary(probe, [place], `libnvrtc.so.${major}`);
      if (!path) continue;
      const builtins = folderFiles(probe, path, new RegExp(`^libnvrtc-builtins\\.so\\.${major}\\.\\d+$`));
      return { major, path, builtins };
    }
  return null;
}

function findLibrary(probe: Probe, places: readonly Place[], name: string): string | null {
  for (const { folders } of places)
    for (const folder of folders()) if (probe.list(folder).includes(name)) return join(folder, name);
  return null;
}

/** cuDNN with its parts beside it, built for this version of CUDA if the place tells. */
function findCudnn(probe: Probe, places: readonly Place[], major: CudaMajor): string | null {
  for (const place of places) {
    const path = findLibrary(probe, [place], 'libcudnn.so.9');
    if (!path || folderFiles(probe, path, /^libcudnn_graph\.so\.9$/).length === 0) continue;
    const built = place.cudaOf?.('cudnn');
    if (built === undefined || built === major) return path;
  }
  return null;
}

/** Where NCCL is, or why it is not used. */
export type NcclSearch = { readonly path: string } | Problem;

/**
 * Finds NCCL, which connects the GPUs of several processes: the file that STMIXER_NCCL names, or none if that is 0; else in the
 * places of the other libraries.
 */
export function findNccl(
  probe: Probe,
  driverVersion: number,
  ownFolder = ownLibraries(PACKAGE_FOLDER),
): NcclSearch {
  const { STMIXER_NCCL } = probe.env;
  if (STMIXER_NCCL === '0') return { what: 'STMIXER_NCCL is 0', remedy: 'unset it' };
  if (STMIXER_NCCL) return { path: STMIXER_NCCL };
  for (const place of libraryPlaces(probe, ownFolder)) {
    const path = findLibrary(probe, [place], 'libnccl.so.2');
    const built = path && place.cudaOf?.('nccl');
    if (path && (!built || 1000 * built <= driverVersion)) return { path };
  }
  return { what: 'NCCL (libnccl.so.2) is not found', remedy: setupRemedy() };
}

function namedFolders({ env }: Probe): string[] {
  return (env.STMIXER_CUDA_PATH ?? '').split(':').filter(Boolean);
}

function oldDriver(version: number): Problem {
  const [major, minor] = [Math.floor(version / 1000), Math.floor((version % 1000) / 10)];
  return {
    what: `the NVIDIA driver supports CUDA ${major}.${minor}, and CUDA 12 is needed`,
    remedy: `install the driver ${DRIVER_SERIES[12]} or newer`,
  };
}

function missing(library: string, purpose: string): Problem {
  return { what: `${library} is not found, so ${purpose} will be slower`, remedy: setupRemedy() };
}

function failed(problem: Problem): LibrarySearch {
  return { libraries: null, problems: [problem] };
}

/** How to get the libraries, for this folder or for a project that depends on this package. */
function setupRemedy(): string {
  const isDependency = PACKAGE_FOLDER.includes(join('node_modules', 'stmixer'));
  return `run: ${isDependency ? 'npm explore stmixer -- ' : ''}npm run setup:cuda`;
}

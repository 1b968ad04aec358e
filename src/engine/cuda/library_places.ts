/** @file The folders in which CUDA's libraries may be. */
import { dirname, join } from 'node:path';
import type { Probe } from '../probe.js';

/** The file that the set-up writes when all libraries are in place: `{ "cuda": 13, … }`. */
export const SETUP_RECORD = 'stmixer.json';

const SYSTEM_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/lib/wsl/lib',
  '/usr/local/nvidia/lib64',
  '/usr/local/nvidia/lib',
];

/** Prints the folders of installed packages. */
const PYTHON_FOLDERS = "import sys; print('\\n'.join(p for p in sys.path if p.endswith('-packages')))";

/** Folders that are searched together. */
export interface Place {
  /** Made when it is searched, since some places take a process to find. */
  readonly folders: () => readonly string[];
  /** The version of CUDA that a library here was built for; undefined if nothing tells. */
  readonly cudaOf?: (library: 'cudnn' | 'nccl') => number | undefined;
}

/** The places in the order of the search; `ownFolder` is the one that the set-up fills. */
export function* libraryPlaces(probe: Probe, ownFolder: string): Generator<Place> {
  const { env } = probe;
  yield listed((env.STMIXER_CUDA_PATH ?? '').split(':'));
  if (probe.exists(join(ownFolder, SETUP_RECORD))) yield listed(nvidiaFolders(probe, ownFolder));
  for (const toolkit of toolkits(probe))
    yield listed([
      join(toolkit, 'lib64'),
      join(toolkit, 'lib'),
      join(toolkit, 'targets', 'x86_64-linux', 'lib'),
    ]);
  for (const prefix of [env.VIRTUAL_ENV, env.CONDA_PREFIX])
    if (prefix)
      for (const folder of environmentPackages(probe, prefix)) yield packages(probe, () => [folder]);
  yield packages(
    probe,
    once(() => pythonPackages(probe)),
  );
  if (env.CONDA_PREFIX) yield listed([join(env.CONDA_PREFIX, 'lib')]);
  yield listed([...(env.LD_LIBRARY_PATH ?? '').split(':'), ...systemFolders(probe)]);
}

/** Folders that the loader knows. */
export function systemFolders(probe: Probe): string[] {
  const cache = probe.readText('/etc/ld.so.cache') ?? '';
  const cached = [
    ...cache.matchAll(/\0(\/[^\0]+)\/lib(?:cuda|nvrtc|cublasLt|cudnn|nccl)\.so\.[\d.]+(?=\0)/g),
  ];
  return [...new Set([...cached.map(([, folder]) => folder), ...SYSTEM_FOLDERS])];
}

/** The paths of the files beside `path` whose names match. */
export function folderFiles(probe: Probe, path: string, pattern: RegExp): string[] {
  const folder = dirname(path);
  return probe
    .list(folder)
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name));
}

function listed(folders: readonly string[]): Place {
  return { folders: () => folders.filter(Boolean) };
}

/** NVIDIA's wheels in folders of Python packages. */
function packages(probe: Probe, folders: () => readonly string[]): Place {
  return {
    folders: () => folders().flatMap((folder) => nvidiaFolders(probe, folder)),
    cudaOf: (library) => {
      const names = folders().flatMap((folder) => probe.list(folder));
      const wheel = new RegExp(`^nvidia_${library}_cu(\\d+)-`);
      const major = names.map((name) => wheel.exec(name)?.[1]).find(Boolean);
      return major === undefined ? undefined : Number(major);
    },
  };
}

/** `nvidia/cu13/lib`, `nvidia/cublas/lib` and so on. */
function nvidiaFolders(probe: Probe, folder: string): string[] {
  const nvidia = join(folder, 'nvidia');
  return probe.list(nvidia).map((name) => join(nvidia, name, 'lib'));
}

function toolkits(probe: Probe): string[] {
  const { CUDA_HOME, CUDA_PATH } = probe.env;
  const versions = probe
    .list('/usr/local')
    .filter((name) => /^cuda-\d+(\.\d+)?$/.test(name))
    .sort((a, b) => Number(b.slice(5)) - Number(a.slice(5)));
  const names = ['cuda', ...versions].map((name) => join('/usr/local', name));
  return [CUDA_HOME, CUDA_PATH, ...names].filter((folder): folder is string => Boolean(folder));
}

/** The folders of packages of a virtual or conda environment. */
function environmentPackages(probe: Probe, prefix: string): string[] {
  const lib = join(prefix, 'lib');
  const pythons = probe.list(lib).filter((name) => /^python3\.\d+$/.test(name));
  return pythons.map((name) => join(lib, name, 'site-packages'));
}

function pythonPackages(probe: Probe): string[] {
  for (const program of ['python3', 'python']) {
    const output = probe.run(program, ['-c', PYTHON_FOLDERS]);
    if (output !== null) return output.split('\n').filter(Boolean);
  }
  return [];
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

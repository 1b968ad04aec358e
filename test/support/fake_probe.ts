/** @file A machine made of a few facts, for the tests of the engines. */
import { dirname } from 'node:path';
import type { Probe } from '../../src/engine/probe.js';
import { tf } from '../../src/engine/tfjs.js';

export interface FakeMachine {
  /** Path → content. Folders are there if something is in them. */
  files?: Record<string, string>;
  env?: Record<string, string | undefined>;
  platform?: string;
  arch?: string;
  processors?: number;
  /** What nvidia-smi prints; null where it is missing. */
  nvidiaSmi?: string | null;
  /** What other programs print, by name. */
  programs?: Record<string, string>;
  /** Called with the path of whatever is loaded; throws where that fails. */
  load?: (path: string) => unknown;
}

export interface FakeProbe extends Probe {
  /** Paths that were loaded, in order. */
  readonly loaded: string[];
}

export function fakeProbe(machine: FakeMachine = {}): FakeProbe {
  const files = machine.files ?? {};
  const loaded: string[] = [];
  return {
    platform: machine.platform ?? 'linux',
    arch: machine.arch ?? 'x64',
    nodeVersion: '20.0.0',
    napiVersion: 9,
    processors: machine.processors ?? 8,
    env: { ...machine.env },
    loaded,
    exists: (path) => path in files || Object.keys(files).some((file) => file.startsWith(`${path}/`)),
    list: (folder) => [
      ...new Set(
        Object.keys(files)
          .filter((file) => file.startsWith(`${folder}/`))
          .map((file) => file.slice(folder.length + 1).split('/')[0]),
      ),
    ],
    readText: (path) => files[path] ?? null,
    readLink: () => null,
    packageFolder: (name) => (`/nm/${name}/package.json` in files ? `/nm/${name}` : null),
    run: (program) => (program === 'nvidia-smi' ? machine.nvidiaSmi : machine.programs?.[program]) ?? null,
    load: (path) => {
      loaded.push(path);
      return machine.load?.(path);
    },
  };
}

/** Files of an npm package of tfjs-node, with or without its native parts. */
export function tensorflowFiles(
  name: string,
  { built = true, record = null }: { built?: boolean; record?: object | null } = {},
): Record<string, string> {
  const folder = `/nm/${name}`;
  return {
    [`${folder}/package.json`]: JSON.stringify({
      version: '4.22.0',
      binary: { napi_versions: [3, 4, 5, 6, 7, 8] },
    }),
    ...(built
      ? {
          [`${folder}/lib/napi-v8/tfjs_binding.node`]: '',
          [`${folder}/deps/lib/libtensorflow.so`]: '',
          [`${folder}/deps/lib/libtensorflow_framework.so`]: '',
        }
      : {}),
    ...(record ? { [`${folder}/deps/stmixer.json`]: JSON.stringify(record) } : {}),
  };
}

/** What an NVIDIA driver leaves on a machine. */
export const DRIVER_FILES = {
  '/proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15',
  '/usr/lib/x86_64-linux-gnu/libcuda.so.1': '',
};

/** NVRTC as a CUDA toolkit lays it out. */
export const NVRTC_FILES = {
  '/usr/local/cuda/lib64/libnvrtc.so.12': '',
  '/usr/local/cuda/lib64/libnvrtc-builtins.so.12.9': '',
};

/** CUDA libraries as the set-up lays them out. */
export const CUDA_FILES = Object.fromEntries(
  [
    'cuda_runtime/lib/libcudart.so.12',
    'cublas/lib/libcublas.so.12',
    'cublas/lib/libcublasLt.so.12',
    'cufft/lib/libcufft.so.11',
    'cusolver/lib/libcusolver.so.11',
    'cusparse/lib/libcusparse.so.12',
    'cudnn/lib/libcudnn.so.9',
  ].map((file) => [`/nm/@tensorflow/tfjs-node-gpu/deps/nvidia/${file}`, '']),
);

export const H100 = '0, GPU-5a1b, NVIDIA H100 80GB HBM3, 9.0, 550.54.15\n';

/** Takes tfjs's backend `tensorflow` away, real or fake. */
export function forgetTensorflow(): void {
  if (tf.findBackendFactory('tensorflow')) tf.removeBackend('tensorflow');
}

/** A load() under which tfjs-node registers a backend that says what it runs on. */
export function loadFakeTensorflow(isUsingGpuDevice: boolean): (path: string) => void {
  return (path) => {
    const isPackage = dirname(path).endsWith('@tensorflow');
    if (!isPackage) return;
    forgetTensorflow();
    tf.registerBackend('tensorflow', () => {
      const CpuBackend = tf.findBackend('cpu').constructor as new () => object;
      const backend = Object.assign(new CpuBackend(), {
        isUsingGpuDevice,
        binding: { TF_Version: '2.21.0' },
      });
      return backend as unknown as ReturnType<typeof tf.findBackend>;
    });
  };
}

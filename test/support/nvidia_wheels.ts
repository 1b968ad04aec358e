/** @file NVIDIA's libraries from unpacked wheels, for tests that run without a GPU. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadLibrary } from '../../src/util/native/load_library.js';

/** The folder with `nvidia/cu13/lib`; undefined where the wheels are not there. */
export const wheelsFolder = process.env.STMIXER_NVIDIA_WHEELS;

/** The path of a library of CUDA 13, such as libcublasLt.so.13. */
export function cudaLibrary(name: string): string {
  return join(wheelsFolder ?? '', 'nvidia', 'cu13', 'lib', name);
}

/** The path of the real NCCL; undefined where its wheel is not there. */
export const ncclLibrary = [join(wheelsFolder ?? '', 'nvidia', 'nccl', 'lib', 'libnccl.so.2')].find(
  existsSync,
);

/** NVRTC opens its builtins by name, which the loader finds once they are loaded. */
export function nvrtcPath(): string {
  loadLibrary(cudaLibrary('libnvrtc-builtins.so.13.0'), { global: true });
  return cudaLibrary('libnvrtc.so.13');
}

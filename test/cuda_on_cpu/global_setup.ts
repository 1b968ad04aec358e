/** @file Builds the stand-in for CUDA once before all tests on it, and lets the tests and their processes find it. */
import { join } from 'node:path';
import { canBuildCudaOnCpu, cudaOnCpuFolder } from './index.js';

/** Called by the test runner, whose workers have its environment. */
export default function setup(): void {
  if (!canBuildCudaOnCpu()) throw new Error('tests on the cuda engine need Linux and g++');
  const folder = cudaOnCpuFolder();
  process.env.STMIXER_CUDA_PATH = folder;
  // The engine keeps compiled kernels in the cache; those for the stand-in are nothing for a GPU.
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  // Blocks and threads in random order, as on a GPU.
  process.env.CUDA_ON_CPU_SEED ??= '1';
}

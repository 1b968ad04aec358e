/** @file Tries CUDA's libraries as far as that is possible without a GPU. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { NcclFunctions, versionText } from '../../src/distributed/nccl/functions.js';
import { loadCublasLt } from '../../src/engine/cuda/api/cublaslt.js';
import { loadNvrtc } from '../../src/engine/cuda/api/nvrtc.js';
import { EngineError } from '../../src/errors.js';
import { loadLibrary } from '../../src/util/native/load_library.js';
import { bind, openLibrary } from '../../src/util/native/native.js';

const KERNEL = 'extern "C" __global__ void trial(float *a) { a[threadIdx.x] *= 2.0f; }';

/**
 * Loads the libraries in a folder, and compiles a kernel. Returns a line for each library. Throws EngineError if one does not work,
 * or if NVRTC is missing.
 */
export function tryLibraries(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const find = (pattern: RegExp) =>
    files.filter((file) => pattern.test(file)).map((file) => join(folder, file));
  const lines: string[] = [];

  const [nvrtcPath] = find(/\/libnvrtc\.so\.\d+$/);
  if (!nvrtcPath) throw new EngineError(`NVRTC (libnvrtc.so) is not in ${folder}`);
  for (const path of find(/\/libnvrtc-builtins\.so\.\d+\.\d+$/)) loadLibrary(path, { global: true });
  const nvrtc = loadNvrtc(nvrtcPath);
  const newest = nvrtc.architectures[nvrtc.architectures.length - 1];
  nvrtc.compile(KERNEL, newest);
  lines.push(
    `NVRTC ${nvrtc.version.join('.')} compiles for GPUs from sm_${nvrtc.architectures[0]} to sm_${newest}`,
  );

  const [cublasLt] = find(/\/libcublasLt\.so\.\d+$/);
  if (cublasLt) lines.push(`cuBLASLt ${loadCublasLt(cublasLt).version} loads`);
  const [cudnn] = find(/\/libcudnn\.so\.9$/);
  if (cudnn) {
    const { cudnnGetVersion } = bind(openLibrary(cudnn), 'size_t', { cudnnGetVersion: [] });
    lines.push(`cuDNN ${cudnnGetVersion()} loads`);
  }
  const [nccl] = find(/\/libnccl\.so\.2$/);
  if (nccl) lines.push(`NCCL ${versionText(new NcclFunctions(nccl).version())} loads`);
  return lines;
}

/** @file Loads CUDA's libraries. */
import { EngineError } from '../../errors.js';
import { loadLibrary } from '../../util/native/load_library.js';
import { openLibrary } from '../../util/native/native.js';
import { loadCublasLt } from './api/cublaslt.js';
import { Cudnn } from './api/cudnn.js';
import { CudaDriver, loadDriver } from './api/driver.js';
import { loadNvrtc } from './api/nvrtc.js';
import type { DeviceLibraries } from './device/device.js';
import type { CudaLibraries } from './libraries.js';

/** The newest CUDA version that a driver supports, 13000 for 13.0; null if its library cannot be loaded. */
export function readDriverVersion(path: string): number | null {
  try {
    return new CudaDriver(openLibrary(path)).version();
  } catch {
    return null;
  }
}

/** Loads the libraries and starts the driver. Throws EngineError. */
export function loadCuda(paths: CudaLibraries): DeviceLibraries {
  for (const path of paths.nvrtcBuiltins) loadLibrary(path, { global: true });
  return {
    driver: loadDriver(paths.driver),
    nvrtc: loadNvrtc(paths.nvrtc),
    cublasLt: paths.cublasLt === null ? null : loadCublasLt(paths.cublasLt),
    // Last, because it uses the others.
    cudnn: paths.cudnn === null ? null : loadCudnn(paths.cudnn),
  };
}

/** Null if it cannot be loaded, because nothing depends on it. */
function loadCudnn(path: string): Cudnn | null {
  try {
    return new Cudnn(path);
  } catch (error) {
    if (error instanceof EngineError) return null;
    throw error;
  }
}

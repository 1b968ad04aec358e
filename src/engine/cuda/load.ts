/** @file Loads CUDA's libraries. */
import { loadLibrary } from '../load_library.js';
import { loadCublasLt } from './api/cublaslt.js';
import { CudaDriver, loadDriver } from './api/driver.js';
import { openLibrary } from './api/native.js';
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
export function loadCuda({ driver, nvrtc, nvrtcBuiltins, cublasLt }: CudaLibraries): DeviceLibraries {
  for (const path of nvrtcBuiltins) loadLibrary(path, { global: true });
  return {
    driver: loadDriver(driver),
    nvrtc: loadNvrtc(nvrtc),
    cublasLt: cublasLt === null ? null : loadCublasLt(cublasLt),
  };
}

/** @file Opens the GPU of the stand-in as a program does. */
import { readdirSync } from 'node:fs';
import { CudaDevice } from '../../src/engine/cuda/device/device.js';
import { type CudaLibraries, findCudaLibraries } from '../../src/engine/cuda/libraries.js';
import { loadCuda, readDriverVersion } from '../../src/engine/cuda/load.js';
import { fakeProbe } from '../support/fake_probe.js';

/** The libraries in the folder of the stand-in. */
export function standInLibraries(folder: string): CudaLibraries {
  const files = Object.fromEntries(readdirSync(folder).map((name) => [`${folder}/${name}`, '']));
  const probe = fakeProbe({ env: { STMIXER_CUDA_PATH: folder }, files });
  const { libraries } = findCudaLibraries({ probe, driverVersion: readDriverVersion });
  if (!libraries) throw new Error('the stand-in was not found');
  return libraries;
}

/** `cache` is the folder of the user's cache. */
export function openStandIn(folder: string, cache: string): CudaDevice {
  const env = { XDG_CACHE_HOME: cache };
  return CudaDevice.open(loadCuda(standInLibraries(folder)), { ordinal: 0, env });
}

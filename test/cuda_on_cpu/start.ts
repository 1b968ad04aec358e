/** @file Starts the cuda engine on the stand-in for NVIDIA's libraries. */
import type { CudaSettings } from '../../src/engine/cuda/compiler.js';
import { findCudaLibraries } from '../../src/engine/cuda/libraries.js';
import { readDriverVersion } from '../../src/engine/cuda/load.js';
import { type CudaBackend, startBackend } from '../../src/engine/cuda/start.js';
import { machineProbe } from '../../src/engine/probe.js';
import { type CudaOnCpu, loadCudaOnCpu } from './index.js';

/** Makes the cuda engine current, unless it runs in this process already. */
export async function startCudaOnCpu(
  settings: Partial<CudaSettings> = {},
): Promise<{ readonly standIn: CudaOnCpu; readonly backend: CudaBackend }> {
  const standIn = loadCudaOnCpu();
  process.env.STMIXER_CUDA_PATH = standIn.folder;
  const probe = machineProbe();
  const { libraries } = findCudaLibraries({ probe, driverVersion: readDriverVersion });
  if (!libraries) throw new Error(`the stand-in for CUDA was not found in ${standIn.folder}`);
  const start = { libraries, ordinal: 0, precision: 'float32', isDeterministic: true, ...settings } as const;
  return { standIn, backend: await startBackend(probe, start) };
}

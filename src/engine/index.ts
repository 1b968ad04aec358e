/** @file Which hardware backend runs the tensors; nothing outside this folder imports a backend. */
import { watchMemoryOf } from './memory.js';
import { machineProbe } from './probe.js';
import { EngineSelector } from './selection.js';
import type { EngineInfo, EngineRequest } from './types.js';

export { type EngineMemory, engineMemory, type MachineMemory, machineMemory } from './memory.js';
export type { DeviceName, EngineInfo, EngineName, EngineRequest, GpuInfo } from './types.js';

const probe = machineProbe();
const engines = new EngineSelector(probe);

/** Makes the requested engine current. Throws EngineError with what is missing and how to get it. */
export async function selectEngine(request: EngineRequest): Promise<EngineInfo> {
  // The environment wins: a job script fits a configuration to its machine.
  if (request.threads && !probe.env.STMIXER_THREADS) probe.env.STMIXER_THREADS = String(request.threads);
  const info = await engines.select(request);
  watchMemoryOf(info);
  return info;
}

/** @file Selects the engine that runs the tensors. Nothing outside of this folder imports a backend. */
import type { Engine } from './engine.js';
import { machineProbe } from './probe.js';
import { EngineSelector } from './selection.js';
import type { EngineAvailability, EngineRequest } from './types.js';

export type { Engine } from './engine.js';
export { type EngineMemory, type MachineMemory, machineMemory } from './memory.js';
export { engineSettings, settingsOfProcess } from './settings.js';
export type {
  DeviceName,
  EngineAvailability,
  EngineInfo,
  EngineName,
  EngineRequest,
  GpuInfo,
  LocalPlace,
} from './types.js';

/** The native libraries of a process are loaded once, so there is one selector. */
const engines = new EngineSelector(machineProbe());

/**
 * Makes the requested engine current. Throws EngineError if it cannot run here, and names the missing parts and their remedy,
 * or if it already runs in this process with another number of threads.
 */
export async function selectEngine(request: EngineRequest = {}): Promise<Engine> {
  return engines.select(request);
}

/** Every engine on every device, and why it cannot run here; loads and changes nothing. */
export function engineAvailability(): EngineAvailability[] {
  return engines.availability();
}

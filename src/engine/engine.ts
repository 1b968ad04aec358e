/** @file The engine that runs the tensors. */
import type { Precision } from '../config/index.js';
import { type EngineMemory, tensorAndProcessMemory } from './memory.js';
import type { DeviceName, EngineInfo, EngineName, GpuInfo, GpuMemoryUse, StartedEngine } from './types.js';

/** The current engine. Its fields go to the log and to environment.json. */
export class Engine implements EngineInfo {
  readonly engine: EngineName;
  readonly device: DeviceName;
  readonly description: string;
  readonly version: string;
  readonly threads: number;
  readonly gpu?: GpuInfo;
  readonly precision?: Precision;
  readonly isDeterministic?: boolean;
  readonly notes: string[];
  readonly #gpuMemory: () => GpuMemoryUse | null;

  constructor(info: StartedEngine & Pick<EngineInfo, 'notes'>) {
    this.engine = info.engine;
    this.device = info.device;
    this.description = info.description;
    this.version = info.version;
    this.threads = info.threads;
    this.gpu = info.gpu;
    this.precision = info.precision;
    this.isDeterministic = info.isDeterministic;
    this.notes = info.notes;
    this.#gpuMemory = info.gpuMemory ?? (() => null);
  }

  /** Returns the memory in use. */
  memory(): EngineMemory {
    const gpuBytes = this.#gpuMemory()?.usedBytes;
    return { ...tensorAndProcessMemory(), ...(gpuBytes === undefined ? {} : { gpuBytes }) };
  }

  /** Returns the bytes that this process can have on the GPU; null if there is no GPU, or if it is not known. */
  gpuBudget(): number | null {
    return this.#gpuMemory()?.budgetBytes ?? this.gpu?.memoryBytes ?? null;
  }
}

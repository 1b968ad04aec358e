/** @file The engine that runs the tensors. */
import { type EngineMemory, GpuMemory, tensorAndProcessMemory } from './memory.js';
import type { DeviceName, EngineInfo, EngineName, GpuInfo } from './types.js';

/** The current engine. Its fields go to the log and to environment.json. */
export class Engine implements EngineInfo {
  readonly engine: EngineName;
  readonly device: DeviceName;
  readonly description: string;
  readonly version: string;
  readonly threads: number;
  readonly gpu?: GpuInfo;
  readonly notes: string[];
  readonly #gpuMemory: GpuMemory | null;

  /** `env` is the process environment after the start of the engine. */
  constructor(info: EngineInfo, env: Readonly<Record<string, string | undefined>>) {
    this.engine = info.engine;
    this.device = info.device;
    this.description = info.description;
    this.version = info.version;
    this.threads = info.threads;
    this.gpu = info.gpu;
    this.notes = info.notes;
    this.#gpuMemory = info.device === 'cuda' ? new GpuMemory(env.CUDA_VISIBLE_DEVICES ?? '0') : null;
    this.#gpuMemory?.latest();
  }

  /** Returns the memory that this process uses and, on a GPU, that all processes use together. */
  memory(): EngineMemory {
    const gpuBytes = this.#gpuMemory?.latest();
    return { ...tensorAndProcessMemory(), ...(gpuBytes === undefined ? {} : { gpuBytes }) };
  }
}

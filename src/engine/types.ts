/** @file What is asked of an engine and what it answers. */

export type EngineName = 'onnx' | 'tensorflow' | 'cpu';
export type DeviceName = 'cuda' | 'cpu';

export interface EngineRequest {
  engine: 'auto' | EngineName;
  device: 'auto' | DeviceName;
  /** Threads that one operation may use; 0 leaves it to the machine. STMIXER_THREADS wins. */
  threads?: number;
  /** Lets the native libraries talk on standard error. */
  verbose?: boolean;
}

export interface GpuInfo {
  name: string;
  /** NVIDIA's compute capability, 9.0 for Hopper. */
  computeCapability: number;
  driver: string;
}

export interface EngineInfo {
  engine: EngineName;
  device: DeviceName;
  /** One line for the log: engine, library and version, device, threads, and what stood in the way of a faster one. */
  description: string;
  /** Of the library that computes: ONNX Runtime, libtensorflow or tfjs. */
  version: string;
  /** Threads that one operation may use. */
  threads: number;
  gpu?: GpuInfo;
  /** Why something faster that is there, or nearly there, is not used. */
  notes: string[];
}

/** Something that keeps an engine from running. */
export interface Problem {
  /** What is missing or wrong. */
  what: string;
  /** How to get it. */
  remedy: string;
}

/** A way to run tensors; the selection tries them in the order of its table. */
export interface EngineRow {
  engine: EngineName;
  device: DeviceName;
  /** What is in the way here, as far as a look tells: nothing is loaded or changed. */
  problems(): Problem[];
  /** Whether a user who left the choice to us should hear what was in the way of this row. */
  isWorthANote(): boolean;
  /** Makes it current. Throws EngineError. */
  start(verbose: boolean): Promise<Omit<EngineInfo, 'notes'>>;
}

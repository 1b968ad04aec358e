/** @file Types of requests to engines, facts about engines, and engine providers. */

export type EngineName = 'onnx' | 'tensorflow' | 'cpu';
export type DeviceName = 'cuda' | 'cpu';

export interface EngineRequest {
  engine: 'auto' | EngineName;
  device: 'auto' | DeviceName;
  /** Threads that one operation may use; 0 leaves it to the machine. STMIXER_THREADS wins. */
  threads?: number;
  /** Lets the native libraries write to standard error. */
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
  /** One line for the log: engine, library and version, device, threads, and why no faster engine is used. */
  description: string;
  /** Version of the library that computes: ONNX Runtime, libtensorflow or tfjs. */
  version: string;
  /** Threads that one operation may use. */
  threads: number;
  gpu?: GpuInfo;
  /** Reasons why faster engines are not used, for engines that are installed or nearly so. */
  notes: string[];
}

/** A reason why an engine cannot run. */
export interface Problem {
  /** What is missing or wrong. */
  what: string;
  /** How to get it. */
  remedy: string;
}

/** The part of a request that matters to an engine's start. */
export type StartOptions = Pick<EngineRequest, 'threads' | 'verbose'>;

/** An engine on a device that the selection may start. */
export interface EngineProvider {
  engine: EngineName;
  device: DeviceName;
  /** Finds what is missing without loading or changing anything. */
  problems(): Problem[];
  /** Whether a user who left the choice to us should learn what kept this engine from running. */
  isWorthANote(): boolean;
  /** Makes the engine current. Throws EngineError. */
  start(options: StartOptions): Promise<Omit<EngineInfo, 'notes'>>;
}

/** @file The types of engine requests, descriptions of engines, and engine providers. */

export type EngineName = 'onnx' | 'tensorflow' | 'cpu';
export type DeviceName = 'cuda' | 'cpu';

/** The engine that a program asks for. */
export interface EngineRequest {
  /** Default `auto`: the fastest engine that works here. */
  engine?: 'auto' | EngineName;
  /** Default `auto`. */
  device?: 'auto' | DeviceName;
  /** Threads that one operation may use; 0 for one per core or processor. STMIXER_THREADS overrides it. */
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

/** Describes a running engine. */
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
  /** The missing or faulty part. */
  what: string;
  /** A way to fix it. */
  remedy: string;
}

/** Whether an engine can run on a device of this machine. */
export interface EngineAvailability {
  readonly engine: EngineName;
  readonly device: DeviceName;
  /** Missing parts, each with a way to get it; empty if nothing is known to be missing. */
  readonly problems: readonly string[];
}

/** The part of a request that matters to an engine's start. */
export type StartOptions = Pick<EngineRequest, 'threads' | 'verbose'>;

/** An engine on a device that the selection may start. */
export interface EngineProvider {
  engine: EngineName;
  device: DeviceName;
  /** Finds the reasons why the engine cannot run, without loading or changing anything. */
  problems(): Problem[];
  /** Whether the log should say why `auto` skipped this engine. */
  isWorthANote(): boolean;
  /** Makes the engine current. Throws EngineError. */
  start(options: StartOptions): Promise<Omit<EngineInfo, 'notes'>>;
}

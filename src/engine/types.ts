/** @file The types of engine requests, descriptions of engines, and engine providers. */
import type { Precision } from '../config/index.js';

export type EngineName = 'cuda' | 'onnx' | 'tensorflow' | 'cpu';
export type DeviceName = 'cuda' | 'gpu' | 'cpu';

/** The number of this process among those of its machine, from 0, and how many there are. */
export interface LocalRank {
  readonly rank: number;
  readonly size: number;
}

/** The place of this process among those of its machine. */
export interface LocalPlace extends LocalRank {
  /** How many of them may use the same cores as this one, itself included; 1 if the launcher has bound each to its own. */
  readonly onSameCores: number;
}

/** The engine that a program asks for. */
export interface EngineRequest {
  /** Default `auto`: the fastest engine that works here. */
  engine?: 'auto' | EngineName;
  /** Default `auto`. `gpu` is a GPU of any vendor, `cuda` one of NVIDIA with CUDA. */
  device?: 'auto' | DeviceName;
  /** Number of the GPU, as `stmixer engine list` counts; negative, the default, for the best one. */
  gpuIndex?: number;
  /** Gives each process of this machine a GPU of its own unless `gpuIndex` names one; by default this process is alone. */
  local?: LocalRank;
  /** Threads that one operation may use; 0 for one per core or processor. STMIXER_THREADS overrides it. */
  threads?: number;
  /** Default `float32`. Only the engine cuda has others. */
  precision?: Precision;
  /** Default true: a run with equal inputs gives equal bits. False lets the engine cuda take faster ways. */
  isDeterministic?: boolean;
  /** Lets the native libraries write to standard error. */
  verbose?: boolean;
  /** Makes it an error that a GPU lacks an operation; by default the CPU computes it, and `warn` is called. */
  strict?: boolean;
  /** Takes warnings of the running engine; by default they are warnings of the process. */
  warn?: (message: string) => void;
}

export interface GpuInfo {
  name: string;
  /** NVIDIA's compute capability, 9.0 for Hopper; only known with CUDA. */
  computeCapability?: number;
  driver: string;
  /** Memory that belongs to the GPU, or that it shares with the processor. */
  memoryBytes?: number;
}

/** Memory of a GPU at one moment. */
export interface GpuMemoryUse {
  /** Bytes in use: by this process if the driver tells them apart, else by all. */
  readonly usedBytes: number;
  /** Bytes that this process can have in all, if the driver tells. */
  readonly budgetBytes?: number;
}

/** Describes a running engine. */
export interface EngineInfo {
  engine: EngineName;
  device: DeviceName;
  /** One line for the log: engine, library and version, device, threads, and why no faster engine is used. */
  description: string;
  /** Version of the library that computes: CUDA, ONNX Runtime, libtensorflow or tfjs. */
  version: string;
  /** Threads that one operation may use. */
  threads: number;
  gpu?: GpuInfo;
  /** How it computes, where that can be chosen. */
  precision?: Precision;
  isDeterministic?: boolean;
  /** Reasons why faster engines are not used, for engines that are installed or nearly so. */
  notes: string[];
}

/** A reason why an engine cannot run. */
export interface Problem {
  /** The missing or faulty part. */
  what: string;
  /** A way to fix it. */
  remedy: string;
  /** Whether `auto` must not take another engine instead, because the engine works and is used in a wrong way. */
  isMisuse?: boolean;
}

/** Whether an engine can run on a device of this machine. */
export interface EngineAvailability {
  readonly engine: EngineName;
  readonly device: DeviceName;
  /** Missing parts, each with a way to get it; empty if nothing is known to be missing. */
  readonly problems: readonly string[];
  /** Whether `auto` considers it. A software GPU has to be asked for. */
  readonly isForAuto: boolean;
  /** The devices that the engine finds without starting, one in a line. */
  readonly detail?: string;
}

/** The request as an engine's start sees it. */
export type StartOptions = EngineRequest;

/** A running engine as its provider describes it. */
export interface StartedEngine extends Omit<EngineInfo, 'notes'> {
  /** Returns the GPU's memory in use; null if it is not known. */
  gpuMemory?(): GpuMemoryUse | null;
}

/** An engine on a device that the selection may start. */
export interface EngineProvider {
  engine: EngineName;
  device: DeviceName;
  /** Finds the reasons why the engine cannot run as requested, without changing anything. */
  problems(request: Pick<EngineRequest, 'device' | 'gpuIndex' | 'local'>): Problem[];
  /** Describes the devices of this kind, one in a line. */
  detail?(): string | undefined;
  /** Whether the log should say why `auto` skipped this engine. */
  isWorthANote(): boolean;
  /** Makes the engine current. Throws EngineError. */
  start(options: StartOptions): Promise<StartedEngine>;
}

/** @file The engine provider of the cuda engine. */
import { EngineError } from '../../errors.js';
import { EngineInUseError } from '../in_use.js';
import type { Probe } from '../probe.js';
import { problemText } from '../problem.js';
import { hasNvidiaDriver, visibleGpu } from '../tensorflow/cuda.js';
import type { EngineProvider, Problem, StartedEngine, StartOptions } from '../types.js';
import type { CudaSettings } from './compiler.js';
import type { CudaDevice } from './device/device.js';
import { gpuMemoryOf } from './device/gpu_memory.js';
import {
  type CudaGpu,
  type CudaSource,
  capabilityText,
  chooseCudaGpu,
  DRIVER_SOURCE,
  describeCudaGpu,
  precisionProblem,
} from './gpus.js';
import { type CudaLibraries, findCudaLibraries, type LibrarySearch } from './libraries.js';
import { runSelfTest } from './self_test.js';
import { type CudaBackend, runningBackend, startBackend } from './start.js';

/** The part of a request that decides which GPU is taken. */
type GpuChoice = Pick<StartOptions, 'engine' | 'device' | 'gpuIndex' | 'local'>;

/** What tests replace. */
export interface CudaParts {
  readonly source?: CudaSource;
  readonly selfTest?: typeof runSelfTest;
}

export class CudaEngine implements EngineProvider {
  readonly engine = 'cuda';
  readonly device = 'cuda';
  readonly #source: CudaSource;
  readonly #selfTest: typeof runSelfTest;
  #search: LibrarySearch | null = null;
  #gpus: ReturnType<CudaSource['gpus']> | null = null;

  constructor(
    private readonly probe: Probe,
    { source = DRIVER_SOURCE, selfTest = runSelfTest }: CudaParts = {},
  ) {
    this.#source = source;
    this.#selfTest = selfTest;
  }

  problems(choice: GpuChoice): Problem[] {
    const found = this.#choose(choice);
    return 'problems' in found ? [...found.problems] : [];
  }

  detail(): string | undefined {
    const gpus = this.#listGpus();
    if (!gpus || 'what' in gpus || gpus.length === 0) return undefined;
    const missing = this.#find().problems.map(problemText);
    return [...gpus.map(describeCudaGpu), ...missing].join('\n');
  }

  isWorthANote(): boolean {
    return hasNvidiaDriver(this.probe);
  }

  async start(options: StartOptions): Promise<StartedEngine> {
    const found = this.#choose(options);
    if ('problems' in found) throw new EngineError(found.problems.map(problemText).join('; '));
    const { gpu, libraries } = found;
    const { precision = 'float32', isDeterministic = true } = options;
    const unable = precisionProblem(gpu, precision);
    if (unable) throw new EngineError(problemText(unable));
    const start = { libraries, ordinal: gpu.ordinal, precision, isDeterministic };
    const running = runningBackend();
    if (running) refuseOther(running, start);
    else if (!isAskedFor(options)) {
      const result = await this.#selfTest(start, this.probe.env);
      if ('failure' in result) throw new EngineError(`${gpu.name} fails the self-test: ${result.failure}`);
    }
    return this.#describe(gpu, await startBackend(this.probe, start));
  }

  /** The GPU that a request takes, or why there is none. */
  #choose(choice: GpuChoice): { gpu: CudaGpu; libraries: CudaLibraries } | { problems: readonly Problem[] } {
    const { libraries, problems } = this.#find();
    if (!libraries) return { problems };
    const gpus = this.#listGpus() as ReturnType<CudaSource['gpus']>;
    const gpu = 'what' in gpus ? gpus : chooseCudaGpu(gpus, choice, this.probe.env);
    return 'what' in gpu ? { problems: [gpu] } : { gpu, libraries };
  }

  #find(): LibrarySearch {
    const { probe } = this;
    this.#search ??= findCudaLibraries({ probe, driverVersion: (path) => this.#source.driverVersion(path) });
    return this.#search;
  }

  /** Null if there is no driver. */
  #listGpus(): ReturnType<CudaSource['gpus']> | null {
    const { libraries } = this.#find();
    if (libraries) this.#gpus ??= this.#source.gpus(libraries.driver);
    return this.#gpus;
  }

  #describe(gpu: CudaGpu, { device, settings }: CudaBackend): StartedEngine {
    const { precision, isDeterministic } = settings;
    const driver = driverText(this.probe);
    const version = device.cudaVersion.join('.');
    const facts = [
      `compute capability ${capabilityText(gpu)}`,
      ...(driver ? [`driver ${driver}`] : []),
      `CUDA ${version}`,
      isDeterministic ? precision : `${precision}, not deterministic`,
    ];
    const {
      name,
      computeCapability: [major, minor],
      memoryBytes,
    } = gpu;
    return {
      engine: 'cuda',
      device: 'cuda',
      description: `cuda on ${name} (${facts.join(', ')}; ${librariesText(device)})`,
      version,
      threads: 1,
      gpu: { name, computeCapability: major + minor / 10, driver: driver ?? 'unknown', memoryBytes },
      precision,
      isDeterministic,
      gpuMemory: () => gpuMemoryOf(device),
    };
  }
}

/** Whether the user wants this engine, and not only the fastest one. */
function isAskedFor({ engine, device, gpuIndex = -1 }: GpuChoice): boolean {
  return engine === 'cuda' || device === 'cuda' || gpuIndex >= 0;
}

/** Throws EngineInUseError if the engine runs on another GPU or computes in another way. */
function refuseOther({ ordinal, settings }: CudaBackend, start: CudaSettings & { ordinal: number }): void {
  const isSame =
    ordinal === start.ordinal &&
    settings.precision === start.precision &&
    settings.isDeterministic === start.isDeterministic;
  if (isSame) return;
  throw new EngineInUseError(
    'the cuda engine already runs in this process with another GPU, precision or determinism: start another process',
  );
}

/** The version of the driver, such as 580.65.06; null if nothing tells. */
function driverText(probe: Probe): string | null {
  const loaded = probe.readText('/proc/driver/nvidia/version');
  const found = /Kernel Module\D*([\d.]+)/.exec(loaded ?? '')?.[1];
  return found ?? visibleGpu(probe)?.driver ?? null;
}

function librariesText({ cublasLt, cudnn }: CudaDevice): string {
  const products = cublasLt
    ? `cuBLASLt ${versionText(cublasLt.version)}`
    : 'no cuBLASLt: matrix products will be slower';
  const plans = cudnn ? `cuDNN ${versionText(cudnn.version)}` : 'no cuDNN: attention will be slower';
  return `${products}, ${plans}`;
}

/** 130100 is 13.1, and 92400 is 9.24. */
function versionText(version: number): string {
  return `${Math.floor(version / 10_000)}.${Math.floor((version % 10_000) / 100)}`;
}

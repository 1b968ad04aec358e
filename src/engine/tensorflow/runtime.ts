/** @file The tensorflow engine: its two providers, for CUDA and the CPU, on one loaded package. */
import { EngineError } from '../../errors.js';
import { countOf } from '../../util/text.js';
import { EngineInUseError, refuseOtherThreads } from '../in_use.js';
import { NvidiaMemory } from '../memory.js';
import type { Probe } from '../probe.js';
import { tf } from '../tfjs.js';
import { chooseThreads, resolveThreads, type ThreadChoice } from '../threads.js';
import type { DeviceName, EngineProvider, Problem, StartedEngine, StartOptions } from '../types.js';
import { cudaProblems, hasNvidiaDriver, type NvidiaGpu, visibleGpu } from './cuda.js';
import {
  CPU_PACKAGE,
  findInstall,
  GPU_PACKAGE,
  installProblems,
  setupCommand,
  type TensorflowPackage,
} from './install.js';
import { type LoadedTensorflow, loadTensorflow } from './load.js';

/** A loaded TensorFlow and the arguments that it was loaded with. */
interface Running extends LoadedTensorflow {
  readonly threads: ThreadChoice;
  readonly verbose: boolean;
}

/** TensorFlow in this process: at most one of the two packages, on one device, until the process ends. */
export class TensorflowRuntime {
  #running: Running | null = null;

  constructor(private readonly probe: Probe) {}

  provider(device: DeviceName): EngineProvider {
    const onGpu = device === 'cuda';
    return {
      engine: 'tensorflow',
      device,
      problems: () =>
        this.#loadedProblems(device) ?? (onGpu ? cudaProblems(this.probe) : this.#cpuProblems()),
      isWorthANote: () => !onGpu || this.#isBuilt(GPU_PACKAGE) || hasNvidiaDriver(this.probe),
      start: (options) => this.#start(device, options),
    };
  }

  #isBuilt(name: TensorflowPackage): boolean {
    const install = findInstall(this.probe, name);
    return install !== null && this.probe.exists(install.binding);
  }

  /** The CPU package, or else the GPU package, which computes on the CPU when the GPUs are hidden. */
  #cpuPackage(): TensorflowPackage {
    return !this.#isBuilt(CPU_PACKAGE) && this.#isBuilt(GPU_PACKAGE) ? GPU_PACKAGE : CPU_PACKAGE;
  }

  #cpuProblems(): Problem[] {
    return installProblems(this.probe, this.#cpuPackage());
  }

  /** Once TensorFlow is loaded, only its device matters. Null if it is not loaded. */
  #loadedProblems(device: DeviceName): Problem[] | null {
    if (!this.#running) return null;
    if (this.#running.device === device) return [];
    const what = `TensorFlow already runs on ${this.#running.device} in this process, and cannot change over`;
    return [{ what, remedy: 'start another process' }];
  }

  async #start(device: DeviceName, options: StartOptions): Promise<StartedEngine> {
    if (this.#running) this.#refuseOther(this.#running, options);
    this.#running ??= await this.#load(device, options);
    const { install, version, threads } = this.#running;
    if (device === 'cuda' && this.#running.device !== 'cuda') throw new EngineError(noGpuText(version));
    await tf.setBackend('tensorflow');
    const gpu = device === 'cuda' ? (visibleGpu(this.probe) ?? undefined) : undefined;
    const where =
      device === 'cuda'
        ? `CUDA, ${gpuText(gpu)}`
        : `CPU, ${countOf(threads.threads, 'thread')}: ${threads.reason}`;
    const description = `tensorflow on ${where} (libtensorflow ${version}, ${install.name} ${install.version})`;
    const started = { engine: 'tensorflow', device, description, version, threads: threads.threads } as const;
    return device === 'cuda' ? { ...started, gpu, gpuMemory: this.#gpuMemory() } : started;
  }

  async #load(device: DeviceName, { threads: requested, verbose = false }: StartOptions): Promise<Running> {
    // Chosen before TensorFlow is loaded, which sets a variable to the number.
    const threads = chooseThreads(this.probe, requested);
    const install = findInstall(this.probe, device === 'cuda' ? GPU_PACKAGE : this.#cpuPackage());
    if (!install) throw new EngineError('tfjs-node was removed while it was being loaded');
    const options = { device, threads: threads.threads, verbose };
    return { ...(await loadTensorflow(this.probe, install, options)), threads, verbose };
  }

  #gpuMemory(): StartedEngine['gpuMemory'] {
    const memory = new NvidiaMemory(this.probe.env.CUDA_VISIBLE_DEVICES ?? '0');
    const latest = () => {
      const usedBytes = memory.latest();
      return usedBytes === undefined ? null : { usedBytes };
    };
    latest();
    return latest;
  }

  /** Throws EngineInUseError if TensorFlow would have to be loaded again to serve the request. */
  #refuseOther(running: Running, { threads = 0, verbose = false }: StartOptions): void {
    refuseOtherThreads('tensorflow', running.threads, resolveThreads(threads, this.probe.env));
    if (verbose && !running.verbose)
      throw new EngineInUseError(
        'TensorFlow was loaded silently in this process, and cannot become verbose: start another process',
      );
  }
}

/** Explains that TensorFlow reports no GPU although nothing that we can see is missing. */
function noGpuText(version: string): string {
  return (
    `libtensorflow ${version} finds no GPU that it can use, although driver, GPU and CUDA libraries are there: ` +
    "one of the libraries may not fit the others or the driver. --verbose shows TensorFlow's own words; " +
    `${setupCommand(GPU_PACKAGE, '--force')} brings a matching set`
  );
}

function gpuText(gpu: NvidiaGpu | undefined): string {
  if (!gpu) return 'one GPU';
  return `${gpu.name}, compute capability ${gpu.computeCapability.toFixed(1)}, driver ${gpu.driver}`;
}

/** @file The tensorflow engine: its two rows in the selection's table, on one loaded package. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../../errors.js';
import type { Probe } from '../probe.js';
import { chooseThreads, type ThreadChoice } from '../threads.js';
import type { DeviceName, EngineInfo, EngineRow, GpuInfo, Problem } from '../types.js';
import { cudaProblems, hasNvidiaDriver, visibleGpu } from './cuda.js';
import {
  CPU_PACKAGE,
  findInstall,
  GPU_PACKAGE,
  installProblems,
  setupCommand,
  type TensorflowPackage,
} from './install.js';
import { type LoadedTensorflow, loadTensorflow } from './load.js';

/** TensorFlow in this process: at most one of the two packages, loaded for good, on one device. */
export class TensorflowRuntime {
  #loaded: LoadedTensorflow | null = null;
  #threads: ThreadChoice | null = null;

  constructor(private readonly probe: Probe) {}

  row(device: DeviceName): EngineRow {
    const onGpu = device === 'cuda';
    return {
      engine: 'tensorflow',
      device,
      problems: () =>
        this.#loadedProblems(device) ?? (onGpu ? cudaProblems(this.probe) : this.#cpuProblems()),
      isWorthANote: () => !onGpu || this.#isBuilt(GPU_PACKAGE) || hasNvidiaDriver(this.probe),
      start: (verbose) => this.#start(device, verbose),
    };
  }

  #isBuilt(name: TensorflowPackage): boolean {
    const install = findInstall(this.probe, name);
    return install !== null && this.probe.exists(install.binding);
  }

  /** The GPU package computes on the CPU too, with the GPUs hidden. */
  #cpuPackage(): TensorflowPackage {
    return !this.#isBuilt(CPU_PACKAGE) && this.#isBuilt(GPU_PACKAGE) ? GPU_PACKAGE : CPU_PACKAGE;
  }

  #cpuProblems(): Problem[] {
    return installProblems(this.probe, this.#cpuPackage());
  }

  /** Once loaded, nothing but what it computes on counts. Null where it is not loaded. */
  #loadedProblems(device: DeviceName): Problem[] | null {
    if (!this.#loaded) return null;
    if (this.#loaded.device === device) return [];
    const what = `TensorFlow already runs on ${this.#loaded.device} in this process, and cannot change over`;
    return [{ what, remedy: 'start another process' }];
  }

  async #start(device: DeviceName, verbose: boolean): Promise<Omit<EngineInfo, 'notes'>> {
    // Asked before TensorFlow is loaded, which sets a variable to the number.
    this.#threads ??= chooseThreads(this.probe);
    if (!this.#loaded) {
      const install = findInstall(this.probe, device === 'cuda' ? GPU_PACKAGE : this.#cpuPackage());
      if (!install) throw new EngineError('tfjs-node was removed while it was being loaded');
      this.#loaded = await loadTensorflow(this.probe, install, device, verbose);
    }
    const { install, version } = this.#loaded;
    if (device === 'cuda' && this.#loaded.device !== 'cuda') throw new EngineError(noGpuText(version));
    await tf.setBackend('tensorflow');
    const { threads, reason } = this.#threads;
    const gpu = device === 'cuda' ? (visibleGpu(this.probe) ?? undefined) : undefined;
    const where =
      device === 'cuda'
        ? `CUDA, ${gpuText(gpu)}`
        : `CPU, ${threads} thread${threads === 1 ? '' : 's'}: ${reason}`;
    const description = `tensorflow on ${where} (libtensorflow ${version}, ${install.name} ${install.version})`;
    return { engine: 'tensorflow', device, description, version, threads, gpu };
  }
}

/** Every piece that we can see is there, and TensorFlow still reports no GPU. */
function noGpuText(version: string): string {
  return (
    `libtensorflow ${version} finds no GPU that it can use, although driver, GPU and CUDA libraries are there: ` +
    "one of the libraries may not fit the others or the driver. --verbose shows TensorFlow's own words; " +
    `${setupCommand(GPU_PACKAGE, '--force')} brings a matching set`
  );
}

function gpuText(gpu: GpuInfo | undefined): string {
  if (!gpu) return 'one GPU';
  return `${gpu.name}, compute capability ${gpu.computeCapability.toFixed(1)}, driver ${gpu.driver}`;
}

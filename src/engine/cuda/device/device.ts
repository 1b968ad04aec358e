/** @file A GPU: its context, its stream, its memory and its kernels. */
import { join } from 'node:path';
import { EngineError } from '../../../errors.js';
import { type Address, nativeBytes } from '../../../util/native/native.js';
import { cacheFolder } from '../../cache_folder.js';
import type { ArgumentBuffer } from '../api/argument_buffer.js';
import type { CublasLt } from '../api/cublaslt.js';
import type { Cudnn } from '../api/cudnn.js';
import type { CudaDriver, LaunchShape } from '../api/driver.js';
import { CudaError } from '../api/error.js';
import type { Nvrtc } from '../api/nvrtc.js';
import { PlanCache } from '../cudnn/plan_cache.js';
import { CudnnPlans, type CudnnPlansOptions } from '../cudnn/plans.js';
import { CubinCache } from './cubin_cache.js';
import { type DeviceInfo, readDeviceInfo } from './device_info.js';
import { type CudaModule, Modules } from './modules.js';
import { type Block, Region } from './region.js';
import { StagingRing } from './staging.js';
import { Waiter } from './waiting.js';

export interface DeviceLibraries {
  readonly driver: CudaDriver;
  readonly nvrtc: Nvrtc;
  /** Null if it is not installed. */
  readonly cublasLt: CublasLt | null;
  /** Null if it is not installed. */
  readonly cudnn: Cudnn | null;
}

export interface DeviceOptions {
  /** Number of the GPU among those that CUDA_VISIBLE_DEVICES shows. */
  readonly ordinal: number;
  /** The environment, for STMIXER_CUDA_SYNC, STMIXER_CUDA_GRAPHS, STMIXER_CUDA_SOURCE and the place of the cache. */
  readonly env: Record<string, string | undefined>;
}

/** A launch as error messages name it. */
export interface LabelledLaunch extends LaunchShape {
  readonly label: string;
}

/** Work that was captured; it reads and writes the same addresses each time. */
export interface CudaGraph {
  /** The handle of the executable graph. */
  readonly handle: Address;
  readonly label: string;
}

/**
 * A GPU. All work runs on one stream, in the order of the calls, after they return; those that return content wait for it. Errors
 * of the work are CudaErrors of a later call. Functions must be called on the thread that opened the device.
 */
export class CudaDevice {
  readonly info: DeviceInfo;
  /** Handle of the stream. */
  readonly stream: Address;
  readonly region: Region;
  readonly driver: CudaDriver;
  readonly cublasLt: CublasLt | null;
  /** The version of CUDA that compiles the kernels. */
  readonly cudaVersion: Nvrtc['version'];
  /** The plans of cuDNN; null if it is not installed, or does not support the GPU. */
  readonly cudnn: CudnnPlans | null;
  /** Whether each launch waits for its end, so that an error names it (STMIXER_CUDA_SYNC=1). */
  readonly isSynchronous: boolean;
  /** Whether repeated work is captured (not with STMIXER_CUDA_GRAPHS=0, nor if each launch waits). */
  readonly usesGraphs: boolean;
  readonly #device: number;
  readonly #modules: Modules;
  readonly #staging: StagingRing;
  readonly #waiter = new Waiter();
  readonly #graphs = new Set<CudaGraph>();
  #isCapturing = false;

  /** Opens a GPU of the driver. Throws EngineError. */
  static open(
    { driver, nvrtc, cublasLt, cudnn }: DeviceLibraries,
    { ordinal, env }: DeviceOptions,
  ): CudaDevice {
    const count = driver.deviceCount();
    if (ordinal >= count) throw new EngineError(`there is no GPU ${ordinal}: the driver finds ${count}`);
    const handle = driver.device(ordinal);
    const info = readDeviceInfo(driver, handle);
    const cache = new CubinCache(join(cacheFolder(env), 'cuda'));
    const modules = new Modules({
      driver,
      nvrtc,
      computeCapability: info.computeCapability,
      cache,
      sourceFolder: env.STMIXER_CUDA_SOURCE,
    });
    driver.setCurrentContext(driver.retainPrimaryContext(handle));
    try {
      return new CudaDevice({ driver, nvrtc, cublasLt, cudnn, info, handle, modules, cache, env });
    } catch (error) {
      driver.releasePrimaryContext(handle);
      throw error;
    }
  }

  private constructor(parts: {
    driver: CudaDriver;
    nvrtc: Nvrtc;
    cublasLt: CublasLt | null;
    cudnn: Cudnn | null;
    info: DeviceInfo;
    handle: number;
    modules: Modules;
    cache: CubinCache;
    env: DeviceOptions['env'];
  }) {
    const { driver } = parts;
    this.driver = driver;
    this.cublasLt = parts.cublasLt;
    this.cudaVersion = parts.nvrtc.version;
    this.info = parts.info;
    this.#device = parts.handle;
    this.#modules = parts.modules;
    this.isSynchronous = parts.env.STMIXER_CUDA_SYNC === '1';
    this.usesGraphs = !this.isSynchronous && parts.env.STMIXER_CUDA_GRAPHS !== '0';
    this.stream = driver.createStream();
    this.region = new Region({
      allocate: (bytes) => {
        this.#refuseCapture('memory cannot be allocated');
        return driver.allocate(bytes);
      },
      free: (address) => driver.free(address),
      memory: () => driver.memory(),
    });
    this.#staging = new StagingRing(driver, this.stream);
    this.cudnn = openPlans(parts.cudnn, {
      name: parts.info.name,
      computeCapability: parts.info.computeCapability,
      stream: this.stream,
      cache: new PlanCache(parts.cache),
    });
  }

  /** The architecture that kernels are compiled for, such as 90. */
  get architecture(): number {
    return this.#modules.architecture;
  }

  /** Memory of undefined content. Throws OutOfMemoryError. */
  allocate(bytes: number): Block {
    return this.region.allocate(bytes);
  }

  /** Copies to the beginning of a block. `bytes` may change as soon as this returns. */
  upload(block: Block, bytes: Uint8Array): void {
    this.#refuseCapture('nothing can be uploaded');
    checkLength(block, bytes.length);
    this.#staging.upload(block.address, bytes);
  }

  /** The first `length` bytes of a block, as an array buffer of their own. The block may be released meanwhile. */
  async download(block: Block, length: number = block.bytes): Promise<Uint8Array<ArrayBuffer>> {
    this.#refuseCapture('nothing can be downloaded');
    checkLength(block, length);
    const bytes = nativeBytes(length);
    // Held only if needed: others wait for the address of a block that was released.
    const letGo = this.#staging.queuesAtOnce(length) ? null : block.hold();
    try {
      await this.#staging.download(block.address, bytes, this.#waiter);
    } finally {
      letGo?.();
    }
    return bytes;
  }

  /** Like `download`, but blocks this thread. */
  downloadSync(block: Block, length: number = block.bytes): Uint8Array<ArrayBuffer> {
    this.#refuseCapture('nothing can be downloaded');
    checkLength(block, length);
    const bytes = nativeBytes(length);
    this.#staging.downloadSync(block.address, bytes);
    return bytes;
  }

  /** Sets the first `bytes` bytes at an address to zero. */
  clear(address: Address, bytes: number): void {
    this.driver.clear({ address, stream: this.stream }, bytes);
  }

  /** Waits for all work without blocking the event loop. */
  async synchronize(): Promise<void> {
    const event = this.driver.createEvent();
    try {
      this.driver.recordEvent(event, this.stream);
      await this.#waiter.until(() => this.driver.isEventDone(event));
    } finally {
      this.driver.destroyEvent(event);
    }
  }

  synchronizeSync(): void {
    this.driver.synchronizeStream(this.stream);
  }

  /** Compiles a source, or takes it from the cache. Throws CudaError with the compiler's messages. */
  loadModule(source: string): CudaModule {
    return this.#modules.load(source);
  }

  /** Launches a kernel. `args` may change as soon as this returns. */
  launch(fn: Address, launch: LabelledLaunch, args: ArgumentBuffer): void {
    try {
      this.driver.launch(fn, launch, args, this.stream);
      if (this.isSynchronous) this.#check();
    } catch (error) {
      throw named(error, launch.label);
    }
  }

  /** Queues work by `action`, such as a call of a library; errors name the label. */
  queue(label: string, action: () => void): void {
    try {
      action();
      if (this.isSynchronous) this.#check();
    } catch (error) {
      throw named(error, label);
    }
  }

  /**
   * Captures the work that `work` queues, which does not run. Memory that it uses must have been allocated before, and kernels must
   * have run once.
   */
  capture(label: string, work: () => void): CudaGraph {
    const graph = this.#record(work);
    try {
      const captured = { handle: this.driver.instantiateGraph(graph), label };
      this.#graphs.add(captured);
      return captured;
    } catch (error) {
      throw named(error, label);
    } finally {
      this.driver.destroyGraph(graph);
    }
  }

  launchGraph(graph: CudaGraph): void {
    this.queue(graph.label, () => this.driver.launchGraph(graph.handle, this.stream));
  }

  freeGraph(graph: CudaGraph): void {
    if (this.#graphs.delete(graph)) this.driver.destroyExecutableGraph(graph.handle);
  }

  /** Frees everything that the device holds, also blocks and graphs in use. */
  dispose(): void {
    this.synchronizeSync();
    for (const graph of this.#graphs) this.freeGraph(graph);
    this.#modules.dispose();
    this.cudnn?.release();
    this.#staging.dispose();
    this.region.dispose();
    this.cublasLt?.dispose();
    this.driver.destroyStream(this.stream);
    this.driver.releasePrimaryContext(this.#device);
  }

  #record(work: () => void): Address {
    this.driver.beginCapture(this.stream);
    this.#isCapturing = true;
    try {
      work();
    } catch (error) {
      this.#abandonCapture();
      throw error;
    } finally {
      this.#isCapturing = false;
    }
    return this.driver.endCapture(this.stream);
  }

  #abandonCapture(): void {
    try {
      this.driver.destroyGraph(this.driver.endCapture(this.stream));
    } catch {
      // The failure that is reported has made the capture invalid.
    }
  }

  /** Waits for the work so far, in synchronous mode. */
  #check(): void {
    if (!this.#isCapturing) this.synchronizeSync();
  }

  #refuseCapture(what: string): void {
    if (this.#isCapturing) throw new Error(`${what} while a CUDA graph is captured`);
  }
}

function openPlans(cudnn: Cudnn | null, options: Omit<CudnnPlansOptions, 'cudnn'>): CudnnPlans | null {
  try {
    return cudnn && new CudnnPlans({ cudnn, ...options });
  } catch (error) {
    if (error instanceof CudaError) return null;
    throw error;
  }
}

function checkLength(block: Block, length: number): void {
  if (length > block.bytes) throw new RangeError(`${length} bytes of a block of ${block.bytes}`);
}

/** The error with what failed, for errors of CUDA. */
function named(error: unknown, label: string): unknown {
  if (!(error instanceof CudaError)) return error;
  return new CudaError(`${error.call} for ${label}`, error.code, error.status, error.text);
}

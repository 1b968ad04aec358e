/** @file Kernels: compiled by NVRTC, kept on disk, and loaded by the driver. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from '../../../util/native/native.js';
import type { CudaDriver } from '../api/driver.js';
import { chooseArchitecture, Nvrtc } from '../api/nvrtc.js';
import type { CubinCache } from './cubin_cache.js';

export interface ModuleOptions {
  readonly driver: Pick<CudaDriver, 'loadModule' | 'moduleFunction' | 'unloadModule'>;
  readonly nvrtc: Pick<Nvrtc, 'architectures' | 'version' | 'compile'>;
  readonly computeCapability: readonly [major: number, minor: number];
  readonly cache: CubinCache;
  /** Where to write the sources, for those who debug them; undefined for nowhere. */
  readonly sourceFolder?: string;
}

/** The kernels of one source, loaded. */
export class CudaModule {
  readonly #functions = new Map<string, Address>();

  constructor(
    private readonly driver: ModuleOptions['driver'],
    readonly handle: Address,
  ) {}

  /** The handle of a kernel. Throws CudaError if there is none of this name. */
  function(name: string): Address {
    let fn = this.#functions.get(name);
    if (fn === undefined) {
      fn = this.driver.moduleFunction(this.handle, name);
      this.#functions.set(name, fn);
    }
    return fn;
  }
}

/** The modules of a device. */
export class Modules {
  readonly #modules = new Map<string, CudaModule>();
  /** The architecture that sources are compiled for, such as 90. */
  readonly architecture: number;

  /** Throws EngineError if NVRTC cannot compile for the device. */
  constructor(private readonly options: ModuleOptions) {
    this.architecture = chooseArchitecture(options.nvrtc, options.computeCapability);
  }

  /** The module of a source, the same one for the same source. An error in the source is a CudaError with NVRTC's messages. */
  load(source: string): CudaModule {
    const { driver, nvrtc } = this.options;
    const facts = [nvrtc.version.join('.'), ...Nvrtc.options(this.architecture), source];
    const key = createHash('sha256').update(facts.join('\n')).digest('hex');
    let module = this.#modules.get(key);
    if (!module) {
      this.#writeSource(key, source);
      module = new CudaModule(driver, driver.loadModule(this.#cubin(key, source)));
      this.#modules.set(key, module);
    }
    return module;
  }

  dispose(): void {
    for (const { handle } of this.#modules.values()) this.options.driver.unloadModule(handle);
    this.#modules.clear();
  }

  #cubin(key: string, source: string): Uint8Array {
    const { cache, nvrtc } = this.options;
    const cached = cache.read(key);
    if (cached) return cached;
    const { cubin } = nvrtc.compile(source, this.architecture);
    cache.write(key, cubin);
    return cubin;
  }

  #writeSource(key: string, source: string): void {
    const { sourceFolder } = this.options;
    if (!sourceFolder) return;
    mkdirSync(sourceFolder, { recursive: true });
    writeFileSync(join(sourceFolder, `${key.slice(0, 16)}.cu`), source);
  }
}

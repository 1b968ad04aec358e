/** @file The memory of the host: one arena for all sessions and tensors. */
import koffi from 'koffi';
import { loadLibrary } from '../../../util/native/load_library.js';
import { NativeFloats } from '../../../util/native/native.js';
import type { LazyDtype, ValueInfo } from '../../lazy/value.js';
import { machineMemory } from '../../memory.js';
import type { HostArray } from '../../record/tensor.js';
import { addresses, cStrings } from '../addresses.js';
import { type OrtApi, OrtError, type Pointer } from '../c_api.js';
import type { OnnxGraph } from '../model_format.js';
import { HOST_ARRAY, OrtTensor, throwReleased } from '../ort_tensor.js';
import type { OrtMemory } from './memory.js';
import { type PlannedGraph, unplanned } from './memory_plan.js';
import { createTensor } from './ort_values.js';

const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;
/**
 * The region of addresses that the arena reserves, as a fraction of the memory that this process may use. Only used pages
 * take memory, plus 1/32 of the region for the arena's own lists.
 */
const REGION_FRACTION = 0.75;
/** On a machine with a terabyte of memory, the lists of a larger region would take 24 GiB. A run that needs more gets it. */
const MAX_REGION_BYTES = 2 ** 36;
/** Transparent huge pages make the first use of memory up to 20 times as fast, and everything else about 10 % faster. */
const MADV_HUGEPAGE = 14;
const EXTEND_AS_REQUESTED = 1n;
const HUGE_PAGE_BYTES = 2 ** 21;

/** A tensor in the arena. This object owns the memory, and the memory is reached only through it. */
class ArenaTensor extends OrtTensor {
  #value: Pointer;

  constructor(
    private readonly api: OrtApi,
    value: Pointer,
    info: ValueInfo,
  ) {
    super(info);
    this.#value = value;
  }

  get pointer(): Pointer {
    return this.#value === 0n ? throwReleased() : this.#value;
  }

  read(): HostArray {
    return this.#view().slice();
  }

  async readAsync(): Promise<HostArray> {
    return this.read();
  }

  peek(): HostArray {
    return this.read();
  }

  hostMemory(): NativeFloats | null {
    return this.dtype === 'float32' ? new NativeFloats(this.#address, this.size) : null;
  }

  protected copyFrom(data: HostArray): void {
    this.#view().set(data);
  }

  release(): void {
    this.api.ReleaseValue(this.pointer);
    this.#value = 0n;
  }

  /** The memory itself, which must not be used after `release`. */
  #view(): HostArray {
    const Type = HOST_ARRAY[this.dtype];
    const address = this.#address;
    return this.size === 0 ? new Type(0) : new Type(koffi.view(address, this.bytes));
  }

  /** 0 for an empty tensor. */
  get #address(): Pointer {
    const value = this.pointer;
    if (this.size === 0) return 0n;
    return this.api.create((out) => this.api.GetTensorMutableData(value, out));
  }
}

export class Arena implements OrtMemory {
  readonly #memoryInfo: Pointer;
  #allocator: Pointer = 0n;

  constructor(
    private readonly api: OrtApi,
    env: Pointer,
  ) {
    this.#memoryInfo = api.create((out) => api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY, out));
    registerArena(api, env, this.#memoryInfo);
  }

  configure(sessionOptions: Pointer): void {
    // All sessions share the arena; with memory patterns each would hold memory of its own between runs.
    this.api.DisableMemPattern(sessionOptions);
    this.api.AddSessionConfigEntry(sessionOptions, 'session.use_env_allocators', '1');
  }

  attach(session: Pointer): void {
    const { api } = this;
    this.#allocator = api.create((out) => api.CreateAllocator(session, this.#memoryInfo, out));
    this.#reserve();
  }

  allocate(shape: readonly number[], dtype: LazyDtype): OrtTensor {
    return new ArenaTensor(this.api, createTensor(this.api, this.#allocator, { shape, dtype }), {
      shape,
      dtype,
    });
  }

  plan(graph: OnnxGraph): PlannedGraph {
    return unplanned(graph);
  }

  resultsOf(): null {
    return null;
  }

  lend(): void {}

  giveBack(): void {}

  adopt(value: Pointer, info: ValueInfo): OrtTensor {
    return new ArenaTensor(this.api, value, info);
  }

  during<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  /**
   * Makes the arena one large region of addresses, in which neighbouring free blocks are joined, by making and releasing a
   * tensor of that size. If the system refuses even smaller regions, the arena grows with each request.
   */
  #reserve(): void {
    const { totalBytes } = machineMemory();
    for (let fraction = REGION_FRACTION; fraction > 0.1; fraction /= 2) {
      const bytes = Math.min(Math.floor(fraction * totalBytes), MAX_REGION_BYTES);
      try {
        const region = this.allocate([bytes], 'bool');
        const start = this.api.create((out) => this.api.GetTensorMutableData(region.pointer, out));
        region.release();
        adviseHugePages(start, bytes);
        return;
      } catch (error) {
        if (!(error instanceof OrtError)) throw error;
      }
    }
  }
}

/** Registers an arena that grows by exactly what is requested. */
function registerArena(api: OrtApi, env: Pointer, memoryInfo: Pointer): void {
  const keys = cStrings(['arena_extend_strategy']);
  const config = api.create((out) =>
    api.CreateArenaCfgV2(keys, addresses(1).fill(EXTEND_AS_REQUESTED), 1, out),
  );
  api.CreateAndRegisterAllocator(env, memoryInfo, config);
  api.ReleaseArenaCfg(config);
}

/** Asks Linux to back a region with huge pages; on other systems, or if Linux declines, nothing changes. */
function adviseHugePages(start: Pointer, bytes: number): void {
  if (process.platform !== 'linux') return;
  const madvise = loadLibrary(null).func('int madvise(void *addr, size_t length, int advice)');
  const page = BigInt(HUGE_PAGE_BYTES);
  const aligned = ((start + page - 1n) / page) * page;
  madvise(aligned, bytes - (bytes % HUGE_PAGE_BYTES) - HUGE_PAGE_BYTES, MADV_HUGEPAGE);
}

/** @file ONNX Runtime in this process: one environment with one arena and one pool of threads, and its sessions. */
import koffi from 'koffi';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import { machineMemory } from '../memory.js';
import type { ThreadChoice } from '../threads.js';
import { addresses, NameTable } from './addresses.js';
import { type OrtApi, OrtError, type Pointer } from './c_api.js';
import { ELEMENT_TYPE, encodeModel } from './model_format.js';
import type { NativeLibrary } from './native/library.js';
import { loadOperators, type NativeOperators } from './native/operators.js';
import { OrtTensor } from './ort_tensor.js';
import type { TensorMemory } from './tensor.js';

/** Severities at which the library writes to standard error. Errors are returned as statuses, so FATAL is enough. */
const LOG_FATAL = 4;
const LOG_WARNING = 2;
const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;
/** Graphs arrive fused, and constant folding would keep large tensors of one repeated scalar in memory. */
const OPTIMIZE_NOTHING = 0;
/**
 * The region of addresses that the arena reserves, as a fraction of the memory that this process may use. Only used pages
 * take memory, plus 1/32 of the region for the arena's own lists.
 */
const REGION_FRACTION = 0.75;
/** Transparent huge pages make the first use of memory up to 20 times as fast, and everything else about 10 % faster. */
const MADV_HUGEPAGE = 14;
const EXTEND_AS_REQUESTED = 1n;
const HUGE_PAGE_BYTES = 2 ** 21;

/** Addresses of the inputs and outputs of one run. */
interface CallArrays {
  readonly inputs: BigUint64Array;
  readonly outputs: BigUint64Array;
}

/** Owns a compiled graph. Inputs are named i0, i1, …, outputs o0, o1, …. */
export class OrtSession {
  #session: Pointer;
  /** The arrays of the last run, unless another run uses them. */
  #arrays: CallArrays | null = null;

  constructor(
    private readonly api: OrtApi,
    session: Pointer,
    readonly outputs: readonly ValueInfo[],
  ) {
    this.#session = session;
  }

  /** Takes arrays for a run. All outputs are null, which makes the runtime allocate them from the arena. */
  takeArrays(numInputs: number): CallArrays {
    const spare = this.#arrays;
    this.#arrays = null;
    if (spare === null || spare.inputs.length < numInputs)
      return { inputs: addresses(numInputs), outputs: addresses(this.outputs.length) };
    spare.outputs.fill(0n);
    return spare;
  }

  /** Keeps the arrays of a run that has ended for the next one. */
  returnArrays(arrays: CallArrays): void {
    this.#arrays = arrays;
  }

  get pointer(): Pointer {
    if (this.#session === 0n) throw new Error('a session was used after its release');
    return this.#session;
  }

  release(): void {
    this.api.ReleaseSession(this.pointer);
    this.#session = 0n;
  }
}

/** Asks Linux to back a region with huge pages; on other systems, or if Linux declines, nothing changes. */
function adviseHugePages(start: Pointer, bytes: number): void {
  if (process.platform !== 'linux') return;
  const madvise = koffi.load(null).func('int madvise(void *addr, size_t length, int advice)');
  const page = BigInt(HUGE_PAGE_BYTES);
  const aligned = ((start + page - 1n) / page) * page;
  madvise(aligned, bytes - (bytes % HUGE_PAGE_BYTES) - HUGE_PAGE_BYTES, MADV_HUGEPAGE);
}

export interface RuntimeOptions {
  threads: ThreadChoice;
  /** Lets the library write warnings to standard error. */
  verbose?: boolean;
  /** Without the native library, sessions have ONNX Runtime's operators only. */
  native?: NativeLibrary;
}

function createEnvironment(api: OrtApi, threads: number, severity: number): Pointer {
  const threading = api.create((out) => api.CreateThreadingOptions(out));
  api.SetGlobalIntraOpNumThreads(threading, threads);
  api.SetGlobalInterOpNumThreads(threading, 1);
  // A thread that spins while it waits uses up its share of a busy core, and then lacks it when there is work.
  api.SetGlobalSpinControl(threading, 0);
  const env = api.create((out) => api.CreateEnvWithGlobalThreadPools(severity, 'stmixer', threading, out));
  api.ReleaseThreadingOptions(threading);
  // The environment variable does not reach Windows' own tracing.
  api.DisableTelemetryEvents(env);
  return env;
}

/** Registers an arena that grows by exactly what is requested. */
function registerArena(api: OrtApi, env: Pointer, memoryInfo: Pointer): void {
  const key = Buffer.alloc(128);
  key.write('arena_extend_strategy');
  const keys = addresses(1).fill(koffi.address(key));
  const config = api.create((out) =>
    api.CreateArenaCfgV2(keys, addresses(1).fill(EXTEND_AS_REQUESTED), 1, out),
  );
  api.CreateAndRegisterAllocator(env, memoryInfo, config);
  api.ReleaseArenaCfg(config);
}

/** A model that returns its input, one number. */
function identityModel(): Uint8Array {
  const value = (name: string) => ({ name, type: 'float32' as const, shape: [1] });
  const node = { name: 'n0', op: 'Identity', domain: '', attributes: {}, inputs: ['i0'], outputs: ['o0'] };
  return encodeModel({ nodes: [node], inputs: [value('i0')], outputs: [value('o0')], constants: [] });
}

const severityOf = (verbose: boolean) => (verbose ? LOG_WARNING : LOG_FATAL);

/** ONNX Runtime. Make only one in a process. */
export class OrtRuntime implements TensorMemory {
  readonly #env: Pointer;
  readonly #memoryInfo: Pointer;
  readonly #allocator: Pointer;
  readonly #runOptions: Pointer;
  readonly #inputNames = new NameTable('i');
  readonly #outputNames = new NameTable('o');

  readonly threads: ThreadChoice;
  readonly native: NativeOperators;
  #severity: number;

  constructor(
    private readonly api: OrtApi,
    { threads, verbose = false, native = { missing: 'not requested' } }: RuntimeOptions,
  ) {
    this.threads = threads;
    this.#severity = severityOf(verbose);
    this.native = loadOperators(api, native);
    this.#env = createEnvironment(api, threads.threads, this.#severity);
    this.#memoryInfo = api.create((out) => api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY, out));
    registerArena(api, this.#env, this.#memoryInfo);
    this.#runOptions = api.create((out) => api.CreateRunOptions(out));
    // Only a session gives access to the arena's allocator; this one is never released.
    const session = this.createSession(identityModel(), [{ shape: [1], dtype: 'float32' }]);
    this.#allocator = api.create((out) => api.CreateAllocator(session.pointer, this.#memoryInfo, out));
    this.#reserve();
  }

  /** Whether the library writes warnings about later sessions and runs to standard error. */
  setVerbose(verbose: boolean): void {
    this.#severity = severityOf(verbose);
    this.api.RunOptionsSetRunLogSeverityLevel(this.#runOptions, this.#severity);
  }

  /**
   * Makes the arena one large region of addresses, in which neighbouring free blocks are joined, by making and releasing a
   * tensor of that size. If the system refuses even smaller regions, the arena grows with each request.
   */
  #reserve(): void {
    const { totalBytes } = machineMemory();
    for (let fraction = REGION_FRACTION; fraction > 0.1; fraction /= 2) {
      const bytes = Math.floor(fraction * totalBytes);
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

  /** Makes a tensor of undefined content. */
  allocate(shape: readonly number[], dtype: LazyDtype): OrtTensor {
    const { api } = this;
    const dimensions = BigInt64Array.from(shape.length ? shape : [0], BigInt);
    const value = api.create((out) =>
      api.CreateTensorAsOrtValue(this.#allocator, dimensions, shape.length, ELEMENT_TYPE[dtype], out),
    );
    return new OrtTensor(api, value, shape, dtype);
  }

  /** Compiles a model; `threading: 'single'` runs each of its kernels on one thread. Throws OrtError. */
  createSession(
    model: Uint8Array,
    outputs: readonly ValueInfo[],
    { threading = 'pool' }: { threading?: 'pool' | 'single' } = {},
  ): OrtSession {
    const { api } = this;
    const options = api.create((out) => api.CreateSessionOptions(out));
    try {
      api.SetSessionGraphOptimizationLevel(options, OPTIMIZE_NOTHING);
      api.SetSessionLogSeverityLevel(options, this.#severity);
      if (threading === 'single') api.SetIntraOpNumThreads(options, 1);
      else api.DisablePerSessionThreads(options);
      // All sessions share the arena; with memory patterns each would hold memory of its own between runs.
      api.DisableMemPattern(options);
      api.AddSessionConfigEntry(options, 'session.use_env_allocators', '1');
      if ('domain' in this.native) api.AddCustomOpDomain(options, this.native.domain);
      const session = api.create((out) =>
        api.CreateSessionFromArray(this.#env, model, model.byteLength, options, out),
      );
      return new OrtSession(api, session, outputs);
    } finally {
      api.ReleaseSessionOptions(options);
    }
  }

  /** Runs a session; the outputs are new tensors. */
  run(session: OrtSession, inputs: readonly OrtTensor[]): OrtTensor[] {
    const arrays = session.takeArrays(inputs.length);
    this.api.Run(...this.#arguments(session, inputs, arrays));
    return this.#results(session, arrays);
  }

  /** Runs a session on a thread of its own; inputs must not be released before it ends. */
  async runAsync(session: OrtSession, inputs: readonly OrtTensor[]): Promise<OrtTensor[]> {
    const arrays = session.takeArrays(inputs.length);
    await this.api.runAsync(...this.#arguments(session, inputs, arrays));
    return this.#results(session, arrays);
  }

  #arguments(session: OrtSession, inputs: readonly OrtTensor[], { inputs: pointers, outputs }: CallArrays) {
    for (let i = 0; i < inputs.length; i++) pointers[i] = inputs[i].pointer;
    const count = session.outputs.length;
    return [
      session.pointer,
      this.#runOptions,
      this.#inputNames.first(inputs.length),
      pointers,
      inputs.length,
      this.#outputNames.first(count),
      count,
      outputs,
    ];
  }

  #results(session: OrtSession, arrays: CallArrays): OrtTensor[] {
    const tensors = session.outputs.map(
      ({ shape, dtype }, i) => new OrtTensor(this.api, arrays.outputs[i], shape, dtype),
    );
    session.returnArrays(arrays);
    return tensors;
  }
}

/** @file ONNX Runtime in this process: one environment with one arena and one pool of threads, and its sessions. */
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { TensorMemory } from '../record/tensor.js';
import type { ThreadChoice } from '../threads.js';
import { addresses, NameTable } from './addresses.js';
import { DISABLE_FALLBACK, isFallbackError, nodesOnCpu, RECORD_ASSIGNMENT } from './assignment.js';
import { type OrtApi, OrtError, type Pointer } from './c_api.js';
import { Arena } from './memory/arena.js';
import { GpuMemory, type GpuOptions } from './memory/gpu_memory.js';
import type { Call, CallArrays, OrtMemory } from './memory/memory.js';
import { type MemoryPlan, type PlannedGraph, unplanned } from './memory/memory_plan.js';
import { encodeModel, type OnnxGraph, sharedInfo } from './model_format.js';
import type { NativeLibrary } from './native/library.js';
import { loadOperators, type NativeOperators } from './native/operators.js';
import type { OrtTensor } from './ort_tensor.js';
import { withoutStderr } from './silent_stderr.js';

/** Severities at which the library writes to standard error. Errors are returned as statuses, so FATAL is enough. */
const LOG_FATAL = 4;
const LOG_WARNING = 2;
/** Graphs arrive fused, and constant folding would keep large tensors of one repeated scalar in memory. */
const OPTIMIZE_NOTHING = 0;

/** Owns a compiled graph. Inputs are named i0, i1, …, outputs o0, o1, …. */
export class OrtSession {
  readonly outputs: readonly ValueInfo[];
  #session: Pointer;
  /** The arrays of the last run, unless another run uses them. */
  #arrays: CallArrays | null = null;

  constructor(
    private readonly api: OrtApi,
    session: Pointer,
    outputs: readonly ValueInfo[],
    readonly plan: MemoryPlan,
  ) {
    this.#session = session;
    this.outputs = outputs.map(sharedInfo);
  }

  /** Takes arrays for a run. All results are null, which makes the runtime allocate them from the arena. */
  takeArrays(): CallArrays {
    const { numInputs, numOutputs } = this.plan;
    const arrays = this.#arrays ?? {
      inputs: addresses(numInputs),
      outputs: addresses(numOutputs),
      buffers: [],
    };
    this.#arrays = null;
    arrays.outputs.fill(0n, 0, this.outputs.length);
    return arrays;
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

export interface RuntimeOptions {
  threads: ThreadChoice;
  /** The GPU that sessions compute on; by default they compute on the CPU. */
  gpu?: GpuOptions;
  /** Makes it an error that the GPU lacks an operator; else `warn` is called, and the CPU computes it. */
  strict?: boolean;
  warn?: (message: string) => void;
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

/** A graph that returns its input, one number. */
function identityGraph(): OnnxGraph {
  const value = (name: string) => ({ name, type: 'float32' as const, shape: [1] });
  const node = { name: 'n0', op: 'Identity', domain: '', attributes: {}, inputs: ['i0'], outputs: ['o0'] };
  return { nodes: [node], inputs: [value('i0')], outputs: [value('o0')], constants: [] };
}

const severityOf = (verbose: boolean) => (verbose ? LOG_WARNING : LOG_FATAL);

/** ONNX Runtime. Make only one in a process. */
export class OrtRuntime implements TensorMemory {
  readonly #env: Pointer;
  readonly #memory: OrtMemory;
  readonly #runOptions: Pointer;
  readonly #inputNames = new NameTable('i');
  readonly #outputNames = new NameTable('o');

  readonly device: 'cpu' | 'gpu';
  readonly threads: ThreadChoice;
  readonly native: NativeOperators;
  readonly #strict: boolean;
  readonly #warn: (message: string) => void;
  #severity: number;

  constructor(
    private readonly api: OrtApi,
    {
      threads,
      gpu,
      verbose = false,
      strict = false,
      warn = (message) => process.emitWarning(message),
      native = { missing: 'not requested' },
    }: RuntimeOptions,
  ) {
    this.#strict = strict;
    this.#warn = warn;
    this.device = gpu ? 'gpu' : 'cpu';
    this.threads = threads;
    this.#severity = severityOf(verbose);
    this.native = loadOperators(api, native);
    this.#env = createEnvironment(api, threads.threads, this.#severity);
    this.#memory = gpu ? new GpuMemory(api, this.#env, gpu) : new Arena(api, this.#env);
    this.#runOptions = api.create((out) => api.CreateRunOptions(out));
    // Only a session gives access to the memory; this one is never released.
    const start = () => this.createSession(identityGraph(), [{ shape: [1], dtype: 'float32' }]);
    // Dawn, in the WebGPU provider, warns of limits that concern nobody.
    const { pointer } = gpu && !verbose ? withoutStderr(start) : start();
    this.#memory.attach(pointer);
  }

  /** Whether the library writes warnings about later sessions and runs to standard error. */
  setVerbose(verbose: boolean): void {
    this.#severity = severityOf(verbose);
    this.api.RunOptionsSetRunLogSeverityLevel(this.#runOptions, this.#severity);
  }

  /** Makes a tensor of undefined content. */
  allocate(shape: readonly number[], dtype: LazyDtype): OrtTensor {
    return this.#memory.allocate(shape, dtype);
  }

  /** Compiles a graph; `threading: 'single'` runs each of its kernels on one thread. Throws OrtError. */
  createSession(
    graph: OnnxGraph,
    outputs: readonly ValueInfo[],
    { threading = 'pool' }: { threading?: 'pool' | 'single' } = {},
  ): OrtSession {
    const make = ({ graph, plan }: PlannedGraph, setting?: string) =>
      new OrtSession(this.api, this.#createSession(graph, threading, setting), outputs, plan);
    const planned = this.#memory.plan(graph);
    if (this.device === 'cpu') return make(planned);
    try {
      return make(planned, DISABLE_FALLBACK);
    } catch (error) {
      if (this.#strict || !(error instanceof OrtError) || !isFallbackError(error)) throw error;
      // Nodes on the CPU run in an order of their own.
      const session = make(unplanned(graph), RECORD_ASSIGNMENT);
      const nodes = nodesOnCpu(this.api, session.pointer);
      this.#warn(`the GPU lacks operations, which the CPU computes more slowly: ${nodes.join(', ')}`);
      return session;
    }
  }

  /** Compiles a graph with a setting switched on. */
  #createSession(graph: OnnxGraph, threading: 'pool' | 'single', setting?: string): Pointer {
    const { api } = this;
    const model = encodeModel(graph);
    const options = api.create((out) => api.CreateSessionOptions(out));
    try {
      api.SetSessionGraphOptimizationLevel(options, OPTIMIZE_NOTHING);
      api.SetSessionLogSeverityLevel(options, this.#severity);
      if (threading === 'single') api.SetIntraOpNumThreads(options, 1);
      else api.DisablePerSessionThreads(options);
      this.#memory.configure(options);
      if (setting) api.AddSessionConfigEntry(options, setting, '1');
      if ('domain' in this.native) api.AddCustomOpDomain(options, this.native.domain);
      return api.create((out) =>
        api.CreateSessionFromArray(this.#env, model, model.byteLength, options, out),
      );
    } finally {
      api.ReleaseSessionOptions(options);
    }
  }

  /** Runs a session; the outputs are new tensors. */
  run(session: OrtSession, inputs: readonly OrtTensor[]): OrtTensor[] {
    const call = this.#begin(session);
    try {
      this.api.Run(...this.#arguments(session, inputs, call));
    } catch (error) {
      this.#fail(call);
      throw error;
    }
    return this.#end(session, call);
  }

  /** Runs a session on a thread of its own; inputs must not be released before it ends. */
  async runAsync(session: OrtSession, inputs: readonly OrtTensor[]): Promise<OrtTensor[]> {
    const call = this.#begin(session);
    try {
      const args = this.#arguments(session, inputs, call);
      await this.#memory.during(() => this.api.async('Run', ...args));
    } catch (error) {
      this.#fail(call);
      throw error;
    }
    return this.#end(session, call);
  }

  #begin(session: OrtSession): Call {
    return {
      arrays: session.takeArrays(),
      results: this.#memory.resultsOf(session.outputs),
      buffers: [],
    };
  }

  #arguments(session: OrtSession, inputs: readonly OrtTensor[], call: Call) {
    const { results } = call;
    const { inputs: pointers, outputs } = call.arrays;
    for (let i = 0; i < inputs.length; i++) pointers[i] = inputs[i].pointer;
    if (results) for (let i = 0; i < results.length; i++) outputs[i] = results[i].pointer;
    this.#memory.lend(session.plan, call);
    const { numInputs, numOutputs } = session.plan;
    return [
      session.pointer,
      this.#runOptions,
      this.#inputNames.first(numInputs),
      pointers,
      numInputs,
      this.#outputNames.first(numOutputs),
      numOutputs,
      outputs,
    ];
  }

  #end(session: OrtSession, { arrays, results, buffers }: Call): OrtTensor[] {
    this.#memory.giveBack(buffers);
    const tensors = results ?? session.outputs.map((info, i) => this.#memory.adopt(arrays.outputs[i], info));
    session.returnArrays(arrays);
    return tensors;
  }

  #fail({ results, buffers }: Call): void {
    this.#memory.giveBack(buffers);
    for (const result of results ?? []) result.release();
  }
}

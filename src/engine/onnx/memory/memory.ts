/** @file The memory that sessions compute in: that of the host, or of a GPU. */
import type { LazyDtype, ValueInfo } from '../../lazy/value.js';
import type { Pointer } from '../c_api.js';
import type { OnnxGraph } from '../model_format.js';
import type { OrtTensor } from '../ort_tensor.js';
import type { GpuBuffer } from './gpu_buffer.js';
import type { MemoryPlan, PlannedGraph } from './memory_plan.js';

/** Addresses of the operands and results of a run. */
export interface CallArrays {
  readonly inputs: BigUint64Array;
  readonly outputs: BigUint64Array;
  /** The buffers of the plan and of the results that the addresses are in, as of the last run. */
  readonly buffers: GpuBuffer[];
}

/** A run: its addresses, its results if they exist before it, and the buffers that are lent to it. */
export interface Call<Result extends OrtTensor = OrtTensor> {
  readonly arrays: CallArrays;
  readonly results: Result[] | null;
  readonly buffers: GpuBuffer[];
}

export interface OrtMemory {
  /** Makes later sessions compute in this memory. */
  configure(sessionOptions: Pointer): void;
  /** Takes the first session, which gives access to the memory. */
  attach(session: Pointer): void;
  /** Makes a tensor of undefined content. Throws OrtError or EngineError if there is no memory. */
  allocate(shape: readonly number[], dtype: LazyDtype): OrtTensor;
  /** Plans the temporaries of a graph, unless ONNX Runtime does. */
  plan(graph: OnnxGraph): PlannedGraph;
  /** Makes tensors for the results of a run; null if ONNX Runtime makes them. */
  resultsOf(infos: readonly ValueInfo[]): OrtTensor[] | null;
  /** Lends buffers for the temporaries of a run, and adds them to its addresses. */
  lend(plan: MemoryPlan, call: Call): void;
  /** Takes back the buffers of a run that has ended. */
  giveBack(buffers: readonly GpuBuffer[]): void;
  /** Takes over a result that ONNX Runtime made. */
  adopt(value: Pointer, info: ValueInfo): OrtTensor;
  /** Waits for work on another thread that uses the memory. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

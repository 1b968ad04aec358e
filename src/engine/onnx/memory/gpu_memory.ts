/** @file The memory of a GPU, which ONNX Runtime's WebGPU provider computes in. */
import { EngineError } from '../../../errors.js';
import { DTYPE_BYTES, sizeOf } from '../../../formats/host_tensor.js';
import { gib } from '../../../util/text.js';
import type { PowerPreference } from '../../gpu/dawn_order.js';
import type { LazyDtype, ValueInfo } from '../../lazy/value.js';
import type { HostArray } from '../../record/tensor.js';
import { addresses, cStrings } from '../addresses.js';
import type { OrtApi, Pointer } from '../c_api.js';
import { type OnnxGraph, sharedInfo, type TensorInfo } from '../model_format.js';
import type { OrtTensor } from '../ort_tensor.js';
import { BufferPool } from './buffer_pool.js';
import { GpuBuffer } from './gpu_buffer.js';
import { GpuTensor } from './gpu_tensor.js';
import { dtypeOf, fixed } from './host_arrays.js';
import type { Call, OrtMemory } from './memory.js';
import { type MemoryPlan, type PlannedGraph, planMemory } from './memory_plan.js';
import { createTensor, tensorIn } from './ort_values.js';

const PROVIDER = 'WebGPU';
const MEMORY_NAME = 'WebGPU_Buf';
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

/** A buffer that has had tensors of more shapes than this is not used again, because each shape takes memory of the host. */
const MAX_VIEWS = 500;

export interface GpuOptions {
  readonly powerPreference: PowerPreference;
  /** Bytes of the largest buffer that the GPU can have. */
  readonly maxBufferBytes: number;
}

/** Settings of the provider, see webgpu_provider_options.h. */
function providerOptions({ powerPreference }: GpuOptions): Record<string, string> {
  return {
    powerPreference,
    // ArgMax and the indices of ScatterND are int64.
    enableInt64: '1',
    // The graphs' own layouts stay, and with them the order of the nodes.
    preferredLayout: 'NCHW',
    // Buffers are kept here, not in the provider: there, they would be larger than needed, and serve tensors of one size only.
    storageBufferCacheMode: 'disabled',
  };
}

/** The GPU's memory, and transfers to and from it. */
export class GpuMemory implements OrtMemory {
  readonly #hostInfo: Pointer;
  readonly #deviceInfo: Pointer;
  readonly #optionKeys: BigUint64Array;
  readonly #optionValues: BigUint64Array;
  readonly #pool: BufferPool<GpuBuffer>;
  #allocator: Pointer = 0n;
  #isBusy = false;
  #run = 0;
  #waiting: (() => void)[] = [];

  constructor(
    private readonly api: OrtApi,
    private readonly env: Pointer,
    private readonly options: GpuOptions,
  ) {
    this.#hostInfo = api.create((out) => api.CreateCpuMemoryInfo(DEVICE_ALLOCATOR, DEFAULT_MEMORY, out));
    this.#deviceInfo = api.create((out) =>
      api.CreateMemoryInfo(MEMORY_NAME, DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY, out),
    );
    const settings = providerOptions(options);
    this.#optionKeys = cStrings(Object.keys(settings));
    this.#optionValues = cStrings(Object.values(settings));
    this.#pool = new BufferPool({
      make: (bytes) => this.#make(bytes),
      destroy: (buffer) => buffer.release(),
    });
  }

  configure(sessionOptions: Pointer): void {
    this.api.SessionOptionsAppendExecutionProvider(
      sessionOptions,
      PROVIDER,
      this.#optionKeys,
      this.#optionValues,
      this.#optionKeys.length,
    );
  }

  attach(session: Pointer): void {
    const { api } = this;
    this.#allocator = api.create((out) => api.CreateAllocator(session, this.#deviceInfo, out));
  }

  allocate(shape: readonly number[], dtype: LazyDtype): OrtTensor {
    this.#checkSize({ shape, dtype });
    return new GpuTensor(this, sharedInfo({ shape, dtype }));
  }

  plan(graph: OnnxGraph): PlannedGraph {
    const planned = planMemory(graph);
    for (const { shape, type } of planned.graph.outputs) this.#checkSize({ shape, dtype: type });
    return planned;
  }

  /** Throws EngineError if no buffer of this GPU can be as large as a tensor. */
  #checkSize({ shape, dtype }: TensorInfo): void {
    const { maxBufferBytes } = this.options;
    const bytes = sizeOf(shape) * DTYPE_BYTES[dtype];
    if (bytes > maxBufferBytes)
      throw new EngineError(
        `a tensor [${shape}] of ${gib(bytes)} is larger than a buffer of this GPU can be, ${gib(maxBufferBytes)}`,
      );
  }

  lend(plan: MemoryPlan, { arrays, results, buffers }: Call<GpuTensor>): void {
    for (const [b, { bytes }] of plan.buffers.entries()) buffers.push(this.take(bytes, arrays.buffers[b]));
    const resultBuffers = (results ?? []).map(({ buffer }) => buffer);
    const values = [...plan.buffers, ...plan.results];
    for (const [b, buffer] of [...buffers, ...resultBuffers].entries()) {
      // In a replayed step, most runs get the buffers of the step before.
      if (arrays.buffers[b] === buffer) continue;
      arrays.buffers[b] = buffer;
      for (const { position, info } of values[b].inputs) arrays.inputs[position] = buffer.view(info);
      for (const { position, info } of values[b].outputs) arrays.outputs[position] = buffer.view(info);
    }
  }

  resultsOf(infos: readonly ValueInfo[]): GpuTensor[] {
    this.#run++;
    return infos.map((info) => new GpuTensor(this, info));
  }

  adopt(): never {
    throw new Error('results on a GPU are made before the run');
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new Error('two runs at the same time on one GPU');
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const action of waiting) action();
    }
  }

  /** Number of the latest run. */
  get run(): number {
    return this.#run;
  }

  /** Whether another thread uses the provider. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Does `action` now, or as soon as no other thread uses the provider. */
  whenIdle(action: () => void): void {
    if (this.#isBusy) this.#waiting.push(action);
    else action();
  }

  /** Returns a buffer of undefined content, the one from before if that is free. */
  take(bytes: number, before?: GpuBuffer): GpuBuffer {
    return this.#pool.take(bytes, before);
  }

  giveBack(buffers: readonly GpuBuffer[]): void {
    for (const buffer of buffers) {
      if (buffer.numViews > MAX_VIEWS) this.#pool.discard(buffer);
      else this.#pool.giveBack(buffer);
    }
  }

  #make(bytes: number): GpuBuffer {
    const owner = createTensor(this.api, this.#allocator, { shape: [bytes], dtype: 'bool' });
    return new GpuBuffer(this.api, this.#deviceInfo, owner, bytes);
  }

  /** Copies `data` to the GPU, without waiting for earlier work there. */
  upload(data: HostArray, target: Pointer): void {
    this.#withHostValue(fixed(data), (value) => this.api.CopyTensors(...this.#copy(value, target)));
  }

  /** Copies a tensor from the GPU to `data`, and waits until it is computed. */
  download(source: Pointer, data: HostArray): HostArray {
    if (this.#isBusy)
      throw new Error(
        'a tensor was read synchronously while another read is under way: await that one first',
      );
    this.#withHostValue(data, (value) => this.api.CopyTensors(...this.#copy(source, value)));
    return data;
  }

  async downloadAsync(source: Pointer, data: HostArray): Promise<HostArray> {
    const value = this.hostValue(data, [data.length]);
    try {
      await this.during(() => this.api.async('CopyTensors', ...this.#copy(source, value)));
      return data;
    } finally {
      this.freeHostValue(value);
    }
  }

  #copy(source: Pointer, target: Pointer) {
    return [this.env, addresses(1).fill(source), addresses(1).fill(target), null, 1] as const;
  }

  #withHostValue(data: HostArray, use: (value: Pointer) => void): void {
    const value = this.hostValue(data, [data.length]);
    try {
      use(value);
    } finally {
      this.freeHostValue(value);
    }
  }

  /** Makes an OrtValue on the memory of an array, which must stay where it is. */
  hostValue(data: HostArray, shape: readonly number[]): Pointer {
    const place = { memoryInfo: this.#hostInfo, data, bytes: data.byteLength };
    return tensorIn(this.api, place, { shape, dtype: dtypeOf(data) });
  }

  freeHostValue(value: Pointer): void {
    this.api.ReleaseValue(value);
  }
}

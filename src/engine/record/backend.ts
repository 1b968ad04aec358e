/** @file A tfjs backend that records kernels on a lazy graph and reads what they compute. */
import type { FusedBackend, FusedKernelName } from '../kernel_contract.js';
import type { Compiler } from '../lazy/compiler.js';
import { LazyGraph, type LazyGraphOptions } from '../lazy/graph.js';
import type { HostContent } from '../lazy/host_memory.js';
import { Scripts } from '../lazy/scripts.js';
import { type Operand, Value, type ValueInfo } from '../lazy/value.js';
import type { BreakKind, LazyBackend, LazyStatistics } from '../lazy_hints.js';
import type { ScriptBackend } from '../programs.js';
import { tf } from '../tfjs.js';
import type { CopyingBackend } from '../to_host.js';
import { dtypeOf, type RecordedKernel, type Recorder } from './kernel.js';
import type { EngineTensor, HostArray, TensorMemory } from './tensor.js';

/** What a backend is made of. */
export interface BackendParts<T extends EngineTensor> {
  /** The engine's name in messages. */
  readonly engine: string;
  readonly tensors: TensorMemory<T>;
  readonly compiler: Compiler<T>;
  /** The fused kernels that are registered for the backend. */
  readonly fusedKernels: ReadonlySet<FusedKernelName>;
  /** Number of graphs of the serial streams that can run at the same time, one on each thread. */
  readonly lanes: number;
  readonly graph: LazyGraphOptions;
}

/** A backend whose DataIds are values of a lazy graph. */
export class RecordingBackend<T extends EngineTensor>
  extends tf.KernelBackend
  implements LazyBackend, FusedBackend, Recorder, CopyingBackend, ScriptBackend<T>
{
  readonly readsAreCopies = true;
  readonly engine: string;
  readonly tensors: TensorMemory<T>;
  readonly fusedKernels: ReadonlySet<FusedKernelName>;
  readonly lanes: number;
  readonly scripts: Scripts<T>;
  readonly #graph: LazyGraph<T>;
  readonly #moved = new tf.DataStorage<Value<T>>(this, tf.engine());
  #alive = 0;

  constructor({ engine, tensors, compiler, fusedKernels, lanes, graph }: BackendParts<T>) {
    super();
    this.engine = engine;
    this.tensors = tensors;
    this.fusedKernels = fusedKernels;
    this.lanes = lanes;
    this.#graph = new LazyGraph(compiler, graph);
    this.scripts = new Scripts(this.#graph, {
      write: (info, content) => this.#allocate(info, content),
      lend: (info, content) => this.#lend(info, content),
      read: (buffer) => buffer.readAsync(),
    });
  }

  get statistics(): LazyStatistics {
    return this.#graph.statistics;
  }

  graphBreak(region?: string, kind?: BreakKind): void {
    this.#graph.graphBreak(region, kind);
  }

  sync(): Promise<void> {
    return this.#graph.sync();
  }

  /** Records a kernel and returns its results. */
  record<Inputs, Attributes>(
    { name, stream, record, check }: RecordedKernel<Inputs, Attributes>,
    inputs: Inputs,
    attrs: Attributes,
  ): tf.TensorInfo[] {
    const call = record(inputs, attrs);
    check?.(inputs, attrs, ({ dataId }) => this.graphValue(dataId).buffer?.peek() ?? null);
    const operands: Operand<T>[] = call.inputs.map(({ dataId, shape }) => ({
      value: this.graphValue(dataId),
      shape,
    }));
    const { attributes = {}, outputs } = call;
    const values = this.#graph.record({ op: name, attributes, inputs: operands, outputs, stream });
    this.#alive += values.length;
    return values.map((value, i) => ({
      dataId: value,
      shape: [...(outputs[i].view ?? value.shape)],
      dtype: value.dtype,
    }));
  }

  override write(values: tf.BackendValues | null, shape: number[], dtype: tf.DataType): Value<T> {
    const info = { shape, dtype: dtypeOf({ dtype }) };
    const content = values && toHostArray(values, info.dtype);
    const buffer = this.#allocate(info, content);
    this.#alive++;
    return this.#graph.known(info, buffer, content && { content, isFeed: false });
  }

  feed(content: HostContent, info: ValueInfo): Value<T> {
    const buffer = this.#lend(info, content);
    this.#alive++;
    return this.#graph.known(info, buffer, { content, isFeed: true });
  }

  adopt(buffer: T, info: ValueInfo): Value<T> {
    this.#alive++;
    return this.#graph.known(info, buffer);
  }

  #lend(info: ValueInfo, content: HostContent): T {
    return this.#filled(info, (buffer) => buffer.lend(content));
  }

  #allocate(info: ValueInfo, content: HostContent | null): T {
    return this.#filled(info, (buffer) => content && buffer.write(content));
  }

  #filled({ shape, dtype }: ValueInfo, fill: (buffer: T) => void): T {
    const buffer = this.tensors.allocate(shape, dtype);
    try {
      fill(buffer);
    } catch (error) {
      buffer.release();
      throw error;
    }
    return buffer;
  }

  /** Takes over a tensor that another backend made; tfjs calls it from `graphValue`. */
  override move(
    dataId: object,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    const value = this.write(values, shape, dtype);
    value.handles = refCount;
    this.#moved.set(dataId, value);
  }

  /** Finds the value of a DataId, which is the value itself unless the tensor came from another backend. */
  graphValue(dataId: object): Value<T> {
    const held = this.#held(dataId);
    if (held) return held;
    // A tensor of this backend that no other one has taken over is disposed, which its use reports.
    if (dataId instanceof Value && !tf.engine().state.tensorInfo.has(dataId)) return dataId;
    this.#moved.delete(dataId);
    return this.#moved.get(dataId);
  }

  /** The value of a DataId if the tensor is on this backend now. */
  #held(dataId: object): Value<T> | undefined {
    if (dataId instanceof Value && dataId.handles > 0) return dataId;
    const moved = this.#moved.has(dataId) ? this.#moved.get(dataId) : undefined;
    return moved && moved.handles > 0 ? moved : undefined;
  }

  override readSync(dataId: object): HostArray {
    return this.#graph.read(this.graphValue(dataId)).read();
  }

  override read(dataId: object): Promise<HostArray> {
    return this.#graph.readAsync(this.graphValue(dataId), (content) => content.readAsync());
  }

  override refCount(dataId: object): number {
    return this.graphValue(dataId).handles;
  }

  override incRef(dataId: object): void {
    this.graphValue(dataId).handles++;
  }

  override disposeData(dataId: object, force = false): boolean {
    // tfjs also makes tensors whose DataIds no backend knows.
    const value = this.#held(dataId);
    if (!value) return true;
    if (force) value.handles = 1;
    const isLast = this.#graph.release(value);
    if (isLast) this.#alive--;
    return isLast;
  }

  override numDataIds(): number {
    return this.#alive;
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override async time(work: () => void): Promise<{ kernelMs: number }> {
    const start = performance.now();
    work();
    return { kernelMs: performance.now() - start };
  }

  override dispose(): void {
    this.scripts.dispose();
    this.#graph.dispose();
  }
}

function toHostArray(values: tf.BackendValues, dtype: 'float32' | 'int32' | 'bool'): HostArray {
  if (dtype === 'float32')
    return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>);
  if (dtype === 'int32')
    return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>);
  return values instanceof Uint8Array ? values : Uint8Array.from(values as ArrayLike<number>);
}

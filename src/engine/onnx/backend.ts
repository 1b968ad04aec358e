/** @file The tfjs backend `onnx`: records kernels on a lazy graph and reads what they compute. */
import type { FusedBackend } from '../kernel_contract.js';
import type { Compiler } from '../lazy/compiler.js';
import { LazyGraph } from '../lazy/graph.js';
import type { HostContent } from '../lazy/host_memory.js';
import { Scripts } from '../lazy/scripts.js';
import { type Operand, Value, type ValueInfo } from '../lazy/value.js';
import type { BreakKind, LazyBackend, LazyStatistics } from '../lazy_hints.js';
import { machineMemory } from '../memory.js';
import type { ScriptBackend } from '../programs.js';
import { dtypeOf, type RecordedKernel, type Recorder } from '../record/kernel.js';
import type { EngineTensor, HostArray, TensorMemory } from '../record/tensor.js';
import { tf } from '../tfjs.js';
import type { CopyingBackend } from '../to_host.js';
import type { KernelSet } from './kernel_set.js';

export const BACKEND_NAME = 'onnx';

/** Measured memory of a compiled graph, and the fraction of the machine's memory that all of them may take. */
const EXECUTABLE_BYTES = 0.65e6;
const EXECUTABLES_FRACTION = 0.05;
/** A step of the full model needs 60 executables for each size of clips. */
const MIN_EXECUTABLES = 500;

/**
 * Operations that a graph on a GPU has at least, unless it must end before. To start a graph takes as long as dozens of
 * operations there, and memory that is freed later hardly raises the peak.
 */
const MIN_LAYER_NODES_ON_GPU = 100;

function maxExecutables(): number {
  const { totalBytes } = machineMemory();
  return Math.max(MIN_EXECUTABLES, Math.floor((EXECUTABLES_FRACTION * totalBytes) / EXECUTABLE_BYTES));
}

type DataId = Value<EngineTensor>;

/** The onnx backend. Its DataIds are values of the lazy graph. */
export class OnnxBackend
  extends tf.KernelBackend
  implements LazyBackend, FusedBackend, Recorder, CopyingBackend, ScriptBackend<EngineTensor>
{
  readonly readsAreCopies = true;
  readonly scripts: Scripts<EngineTensor>;
  readonly #graph: LazyGraph<EngineTensor>;
  readonly #moved = new tf.DataStorage<DataId>(this, tf.engine());
  #alive = 0;

  constructor(
    readonly tensors: TensorMemory,
    compiler: Compiler<EngineTensor>,
    readonly kernels: KernelSet,
    readonly lanes: number,
  ) {
    super();
    this.#graph = new LazyGraph(compiler, {
      maxExecutables: maxExecutables(),
      minLayerNodes: kernels.name === 'gpu' ? MIN_LAYER_NODES_ON_GPU : 0,
    });
    this.scripts = new Scripts(this.#graph, {
      write: (info, content) => this.#allocate(info, content),
      lend: (info, content) => this.#lend(info, content),
      read: (buffer) => buffer.readAsync(),
    });
  }

  get fusedKernels() {
    return this.kernels.fusedNames;
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
    const operands: Operand<EngineTensor>[] = call.inputs.map(({ dataId, shape }) => ({
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

  override write(values: tf.BackendValues | null, shape: number[], dtype: tf.DataType): DataId {
    const info = { shape, dtype: dtypeOf({ dtype }) };
    const content = values && toHostArray(values, info.dtype);
    const buffer = this.#allocate(info, content);
    this.#alive++;
    return this.#graph.known(info, buffer, content && { content, isFeed: false });
  }

  feed(content: HostContent, info: ValueInfo): DataId {
    const buffer = this.#lend(info, content);
    this.#alive++;
    return this.#graph.known(info, buffer, { content, isFeed: true });
  }

  adopt(buffer: EngineTensor, info: ValueInfo): DataId {
    this.#alive++;
    return this.#graph.known(info, buffer);
  }

  #lend({ shape, dtype }: ValueInfo, content: HostContent): EngineTensor {
    const buffer = this.tensors.allocate(shape, dtype);
    buffer.lend(content);
    return buffer;
  }

  #allocate({ shape, dtype }: ValueInfo, content: HostContent | null): EngineTensor {
    const buffer = this.tensors.allocate(shape, dtype);
    if (content) buffer.write(content);
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
  graphValue(dataId: object): DataId {
    const held = this.#held(dataId);
    if (held) return held;
    // A tensor of this backend that no other one has taken over is disposed, which its use reports.
    if (dataId instanceof Value && !tf.engine().state.tensorInfo.has(dataId)) return dataId;
    this.#moved.delete(dataId);
    return this.#moved.get(dataId);
  }

  /** The value of a DataId if the tensor is on this backend now. */
  #held(dataId: object): DataId | undefined {
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

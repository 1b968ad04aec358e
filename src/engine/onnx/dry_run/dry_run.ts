/**
 * @file A dry run of the onnx engine: it records operations and plans graphs as the engine does, but computes nothing and
 * only counts the memory.
 */
import { DTYPE_BYTES, sizeOf } from '../../../formats/host_tensor.js';
import type { Compiler, Executable, Graph } from '../../lazy/compiler.js';
import type { LazyDtype } from '../../lazy/value.js';
import { registerKernels } from '../../record/registration.js';
import type { EngineTensor, HostArray, TensorMemory } from '../../record/tensor.js';
import { tf } from '../../tfjs.js';
import { OnnxBackend } from '../backend.js';
import { lowerGraph } from '../compiler.js';
import { type KernelSet, ONNX_KERNELS } from '../kernel_set.js';
import { workingMemory, workingMemoryOnGpu } from './working_memory.js';

/** The name in tfjs of the dry run's backend with a set of kernels. */
const backendName = ({ name }: KernelSet) => `dry-run-${name}`;
/** Period of the numbers that a read returns. It is a prime, so that rows of predictions differ. */
const PERIOD = 997;

/** The memory at one moment. */
export interface MemoryMoment {
  /** Tensors outside of the running graph. */
  readonly tensors: readonly CountedTensor[];
  /** Bytes of the running graph's results and temporaries. */
  readonly working: number;
  /** Bytes of both. */
  readonly bytes: number;
}

/** A tensor without content. */
export class CountedTensor implements EngineTensor {
  readonly bytes: number;

  constructor(
    private readonly counter: MemoryCounter,
    readonly shape: readonly number[],
    readonly dtype: LazyDtype,
  ) {
    this.bytes = sizeOf(shape) * DTYPE_BYTES[dtype];
    counter.add(this);
  }

  /** Returns fixed numbers in (0, 1] for floats, so that a loss of them is finite, and zeros for other types. */
  read(): HostArray {
    const size = sizeOf(this.shape);
    if (this.dtype === 'bool') return new Uint8Array(size);
    if (this.dtype === 'int32') return new Int32Array(size);
    const values = new Float32Array(size);
    for (let i = 0; i < Math.min(PERIOD, size); i++) values[i] = (1 + i) / PERIOD;
    for (let filled = PERIOD; filled < size; filled *= 2) values.copyWithin(filled, 0, filled);
    return values;
  }

  async readAsync(): Promise<HostArray> {
    return this.read();
  }

  peek(): HostArray {
    return this.read();
  }

  write(): void {}

  lend(): void {}

  release(): void {
    this.counter.remove(this);
  }
}

/** Work that needs more memory than a dry run was asked to follow. */
export class MemoryLimitError extends Error {}

/** Counts the tensors in memory, and remembers the fullest moment. */
export class MemoryCounter implements TensorMemory {
  readonly #tensors = new Set<CountedTensor>();
  #bytes = 0;
  /** Bytes of the graphs under way. */
  #working = 0;
  #fullest: MemoryMoment = { tensors: [], working: 0, bytes: 0 };

  constructor(private readonly maxBytes: number) {}

  /** The current tensors, while no graph runs. */
  get now(): MemoryMoment {
    return { tensors: [...this.#tensors], working: 0, bytes: this.#bytes };
  }

  /** The fullest moment since `forget`. */
  get fullest(): MemoryMoment {
    return this.#fullest;
  }

  /** Begins a new search for the fullest moment. */
  forget(): void {
    this.#fullest = { tensors: [], working: 0, bytes: 0 };
  }

  allocate(shape: readonly number[], dtype: LazyDtype): CountedTensor {
    const tensor = new CountedTensor(this, shape, dtype);
    this.use(0);
    return tensor;
  }

  add(tensor: CountedTensor): void {
    this.#tensors.add(tensor);
    this.#bytes += tensor.bytes;
  }

  remove(tensor: CountedTensor): void {
    if (this.#tensors.delete(tensor)) this.#bytes -= tensor.bytes;
  }

  /**
   * Counts the run of a graph that needs `working` bytes beside the current tensors, until the returned function is called.
   * Throws MemoryLimitError.
   */
  use(working: number): () => void {
    this.#working += working;
    const bytes = this.#bytes + this.#working;
    if (bytes > this.#fullest.bytes) this.#fullest = { ...this.now, working: this.#working, bytes };
    const end = () => {
      this.#working -= working;
    };
    if (bytes > this.maxBytes) {
      end();
      throw new MemoryLimitError(`more than ${this.maxBytes} bytes`);
    }
    return end;
  }
}

/** Compiles graphs to executables that only count their memory. */
class CountingCompiler implements Compiler<CountedTensor> {
  constructor(
    private readonly counter: MemoryCounter,
    private readonly kernels: KernelSet,
  ) {}

  compile(graph: Graph): Executable<CountedTensor> {
    const lowered = lowerGraph(graph, this.kernels);
    const working = this.kernels.name === 'gpu' ? workingMemoryOnGpu(lowered) : workingMemory(lowered);
    const results = graph.outputs.map(({ node, output }) => graph.nodes[node].outputs[output]);
    const make = () => results.map(({ shape, dtype }) => new CountedTensor(this.counter, shape, dtype));
    return {
      run: () => {
        this.counter.use(working)();
        return make();
      },
      runAsync: async () => {
        const end = this.counter.use(working);
        // Other runs may begin before this one ends.
        await Promise.resolve();
        end();
        return make();
      },
      release: () => {},
    };
  }
}

/**
 * Runs `work` on the dry run's backend and then makes the current engine current again. `work` must dispose its tensors, and
 * no other work may use the engine until the promise settles.
 */
export async function dryRun<T>(
  work: (counter: MemoryCounter) => Promise<T>,
  { maxBytes = Number.POSITIVE_INFINITY }: { readonly maxBytes?: number } = {},
): Promise<T> {
  const current = tf.getBackend() as string | undefined;
  const backend: unknown = current ? tf.backend() : null;
  const { lanes, kernels } = backend instanceof OnnxBackend ? backend : { lanes: 1, kernels: ONNX_KERNELS };
  const counter = new MemoryCounter(maxBytes);
  const name = backendName(kernels);
  tf.registerBackend(
    name,
    () => new OnnxBackend(counter, new CountingCompiler(counter, kernels), kernels, lanes),
  );
  if (tf.getKernelsForBackend(name).length === 0) registerKernels(name, kernels);
  try {
    await tf.setBackend(name);
    tf.engine().startScope('dry run');
    return await work(counter);
  } finally {
    // Disposes the tensors that an error has left.
    if (tf.getBackend() === name) tf.engine().endScope();
    if (current) await tf.setBackend(current);
    tf.removeBackend(name);
  }
}

/** Makes a float32 tensor of undefined content on the current engine. In a dry run it takes no memory of the host. */
export function blankTensor(shape: readonly number[]): tf.Tensor {
  const info = { shape: [...shape], dtype: 'float32' as const };
  return tf
    .engine()
    .makeTensorFromTensorInfo({ ...info, dataId: tf.backend().write(null as never, info.shape, info.dtype) });
}

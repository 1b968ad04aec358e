/** @file Counts the memory of tensors without content. */
import { DTYPE_BYTES, sizeOf } from '../../formats/host_tensor.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { EngineTensor, HostArray, TensorMemory } from '../record/tensor.js';

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

/** How a tensor is stored, where its type does not say it. */
export interface StoredAs {
  readonly bytes: number;
  readonly layout?: string;
}

/** A tensor without content. */
export class CountedTensor implements EngineTensor {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
  readonly bytes: number;
  readonly layout: string | undefined;

  constructor(
    private readonly counter: MemoryCounter,
    { shape, dtype }: ValueInfo,
    stored: StoredAs = { bytes: sizeOf(shape) * DTYPE_BYTES[dtype] },
  ) {
    this.shape = shape;
    this.dtype = dtype;
    this.bytes = stored.bytes;
    this.layout = stored.layout;
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
    const tensor = new CountedTensor(this, { shape, dtype });
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

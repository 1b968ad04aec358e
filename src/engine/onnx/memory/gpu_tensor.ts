/** @file Tensors in the memory of a GPU. */
import type { ValueInfo } from '../../lazy/value.js';
import type { HostArray } from '../../record/tensor.js';
import type { Pointer } from '../c_api.js';
import { HOST_ARRAY, OrtTensor, throwReleased } from '../ort_tensor.js';
import type { GpuBuffer } from './gpu_buffer.js';
import type { GpuMemory } from './gpu_memory.js';
import { fixed } from './host_arrays.js';

/** Content of at most this many bytes waits on the host for its first use. */
const MAX_WAITING_BYTES = 4096;

/** Content that is not on the GPU yet. */
interface Waiting {
  readonly content: HostArray;
  /** The content as an OrtValue, and the number of the run that it was made for. */
  use: { readonly value: Pointer; readonly run: number } | null;
}

/**
 * A tensor on the GPU. The first run that reads waiting content takes it from the host, on its own thread; content that is
 * used again is uploaded. The provider is not safe for threads, so allocations, uploads and releases that come while another
 * thread computes are done after that.
 */
export class GpuTensor extends OrtTensor {
  #buffer: GpuBuffer | null = null;
  /** The tensor in the buffer. */
  #value: Pointer | null = null;
  #waiting: Waiting | null = null;
  #isReleased = false;

  constructor(
    private readonly memory: GpuMemory,
    private readonly info: ValueInfo,
  ) {
    super(info);
  }

  get pointer(): Pointer {
    if (this.#isReleased) throwReleased();
    const { memory } = this;
    if (this.#waiting) {
      const { content, use } = this.#waiting;
      this.#waiting.use ??= { value: memory.hostValue(content, this.shape), run: memory.run };
      // A run may have the same tensor as several operands.
      if (use === null || use.run === memory.run) return this.#waiting.use.value;
      this.#upload(this.#waiting.content);
      this.#endWaiting();
    }
    this.#value ??= this.buffer.view(this.info);
    return this.#value;
  }

  read(): HostArray {
    return this.peek() ?? this.memory.download(this.pointer, this.#blank());
  }

  async readAsync(): Promise<HostArray> {
    return this.peek() ?? this.memory.downloadAsync(this.pointer, this.#blank());
  }

  peek(): HostArray | null {
    if (this.#isReleased) throwReleased();
    if (this.size === 0) return this.#blank();
    return this.#waiting?.content.slice() ?? null;
  }

  protected copyFrom(data: HostArray): void {
    if (this.size === 0) return;
    if (data.byteLength <= MAX_WAITING_BYTES || this.memory.isBusy) this.#wait(data.slice());
    else this.#upload(data);
  }

  override lend(data: HostArray): void {
    this.checkFit(data);
    if (this.size > 0) this.#wait(data);
  }

  release(): void {
    if (this.#isReleased) throwReleased();
    this.#isReleased = true;
    this.memory.whenIdle(() => {
      this.#endWaiting();
      if (this.#buffer !== null) this.memory.giveBack([this.#buffer]);
      this.#buffer = null;
    });
  }

  #wait(content: HostArray): void {
    const use = this.#waiting?.use;
    if (use) this.memory.whenIdle(() => this.memory.freeHostValue(use.value));
    this.#waiting = { content: fixed(content), use: null };
  }

  #endWaiting(): void {
    if (this.#waiting?.use) this.memory.freeHostValue(this.#waiting.use.value);
    this.#waiting = null;
  }

  /** The buffer of the tensor, which is taken at its first use. */
  get buffer(): GpuBuffer {
    this.#buffer ??= this.memory.take(this.bytes);
    return this.#buffer;
  }

  #upload(content: HostArray): void {
    this.memory.upload(content, this.buffer.view(this.info));
  }

  /** An array for the content, which the garbage collector does not move. */
  #blank(): HostArray {
    return new HOST_ARRAY[this.dtype](new ArrayBuffer(this.bytes));
  }
}

/** @file Tensors in the memory of ONNX Runtime. */
import koffi from 'koffi';
import { sizeOf } from '../../formats/host_tensor.js';
import type { LazyDtype } from '../lazy/value.js';
import type { OrtApi, Pointer } from './c_api.js';
import type { EngineTensor, HostArray } from './tensor.js';

const ARRAY = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/**
 * A tensor in the arena. This object owns the memory, and the memory is reached only through it. Use after release and a
 * second release throw.
 */
export class OrtTensor implements EngineTensor {
  #value: Pointer;
  readonly #api: OrtApi;

  constructor(
    api: OrtApi,
    value: Pointer,
    readonly shape: readonly number[],
    readonly dtype: LazyDtype,
  ) {
    this.#api = api;
    this.#value = value;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get bytes(): number {
    return this.size * ARRAY[this.dtype].BYTES_PER_ELEMENT;
  }

  get isReleased(): boolean {
    return this.#value === 0n;
  }

  /** The OrtValue. Throws after `release`. */
  get pointer(): Pointer {
    if (this.isReleased) throw new Error('a native tensor was used after its release');
    return this.#value;
  }

  /** A copy of the content. */
  read(): HostArray {
    return this.#view().slice();
  }

  /** Copies `data` into the tensor. */
  write(data: HostArray): void {
    if (!(data instanceof ARRAY[this.dtype]) || data.length !== this.size)
      throw new TypeError(
        `${data.constructor.name}(${data.length}) for a tensor ${this.dtype} [${this.shape}]`,
      );
    this.#view().set(data);
  }

  /** Frees the memory. Throws the second time. */
  release(): void {
    this.#api.ReleaseValue(this.pointer);
    this.#value = 0n;
  }

  /** The memory itself. Never returned to callers, because it would outlive `release`. */
  #view(): HostArray {
    const Type = ARRAY[this.dtype];
    const value = this.pointer;
    if (this.size === 0) return new Type(0);
    const address = this.#api.create((out) => this.#api.GetTensorMutableData(value, out));
    return new Type(koffi.view(address, this.bytes));
  }
}

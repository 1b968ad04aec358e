/** @file Tensors in the memory of ONNX Runtime. */
import { DTYPE_BYTES, sizeOf } from '../../formats/host_tensor.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { EngineTensor, HostArray } from '../record/tensor.js';
import type { Pointer } from './c_api.js';

/** Types of the arrays that hold contents on the host. */
export const HOST_ARRAY = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** A tensor that ONNX Runtime computes with. Use after release and a second release throw. */
export abstract class OrtTensor implements EngineTensor {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;

  constructor({ shape, dtype }: ValueInfo) {
    this.shape = shape;
    this.dtype = dtype;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get bytes(): number {
    return this.size * DTYPE_BYTES[this.dtype];
  }

  /** The OrtValue. Throws after `release`. */
  abstract get pointer(): Pointer;

  abstract read(): HostArray;
  abstract readAsync(): Promise<HostArray>;
  abstract peek(): HostArray | null;

  /** Copies `data` into the tensor. Throws TypeError if its type or length does not fit. */
  write(data: HostArray): void {
    this.checkFit(data);
    this.copyFrom(data);
  }

  /** Like `write`, for data that does not change as long as the tensor lives. */
  lend(data: HostArray): void {
    this.write(data);
  }

  protected checkFit(data: HostArray): void {
    if (!(data instanceof HOST_ARRAY[this.dtype]) || data.length !== this.size)
      throw new TypeError(
        `${data.constructor.name}(${data.length}) for a tensor ${this.dtype} [${this.shape}]`,
      );
  }

  /** Copies content of the right type and length into the tensor. */
  protected abstract copyFrom(data: HostArray): void;

  /** Frees the memory. Throws the second time. */
  abstract release(): void;
}

/** Throws the error for a tensor that was released. */
export function throwReleased(): never {
  throw new Error('a native tensor was used after its release');
}

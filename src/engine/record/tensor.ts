/** @file The interfaces of tensors and their memory that a recording backend uses. */
import type { Buffer, LazyDtype } from '../lazy/value.js';

/** The content of a tensor on the host: float32, int32, and bool as 0 and 1. */
export type HostArray = Float32Array | Int32Array | Uint8Array;

/** A tensor in a runtime's memory. */
export interface EngineTensor extends Buffer {
  /** Returns a copy of the content. May block this thread until the device has computed it. */
  read(): HostArray;
  /** Returns a copy of the content, without blocking this thread. */
  readAsync(): Promise<HostArray>;
  /** Returns a copy of the content if it can be had at once, else null. */
  peek(): HostArray | null;
  /** Copies `data` into the tensor. */
  write(data: HostArray): void;
  /** Like `write`, for data that does not change as long as the tensor lives: it may be copied at any time until then. */
  lend(data: HostArray): void;
}

/** Makes tensors of undefined content. */
export interface TensorMemory<T extends EngineTensor = EngineTensor> {
  allocate(shape: readonly number[], dtype: LazyDtype): T;
}

/** @file The interfaces of tensors and their memory that the backend uses. */
import type { Buffer, LazyDtype } from '../lazy/value.js';

/** The content of a tensor on the host: float32, int32, and bool as 0 and 1. */
export type HostArray = Float32Array | Int32Array | Uint8Array;

/** A tensor in a runtime's memory. */
export interface EngineTensor extends Buffer {
  /** Returns a copy of the content. */
  read(): HostArray;
  /** Copies `data` into the tensor. */
  write(data: HostArray): void;
}

/** Makes tensors of undefined content. */
export interface TensorMemory {
  allocate(shape: readonly number[], dtype: LazyDtype): EngineTensor;
}

/** @file What the backend needs of a tensor that a runtime holds. */
import type { Buffer, LazyDtype } from '../lazy/value.js';
import type { HostArray } from './runtime.js';

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

/** @file The memory that sessions compute in: that of the host, or of a GPU. */
import type { LazyDtype, ValueInfo } from '../../lazy/value.js';
import type { Pointer } from '../c_api.js';
import type { OrtTensor } from '../ort_tensor.js';

export interface OrtMemory {
  /** Makes later sessions compute in this memory. */
  configure(sessionOptions: Pointer): void;
  /** Takes the first session, which gives access to the memory. */
  attach(session: Pointer): void;
  /** Makes a tensor of undefined content. Throws OrtError or EngineError if there is no memory. */
  allocate(shape: readonly number[], dtype: LazyDtype): OrtTensor;
  /** Makes tensors for the results of a run; null if ONNX Runtime makes them. */
  resultsOf(infos: readonly ValueInfo[]): OrtTensor[] | null;
  /** Takes over a result that ONNX Runtime made. */
  adopt(value: Pointer, info: ValueInfo): OrtTensor;
  /** Waits for work on another thread that uses the memory. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

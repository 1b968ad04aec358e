/** @file Arrays on the host whose memory native code reads after the call that it is passed to. */
import type { LazyDtype } from '../../lazy/value.js';
import type { HostArray } from '../../record/tensor.js';
import { HOST_ARRAY } from '../ort_tensor.js';

/** Typed arrays of more bytes are never moved; V8's own limit is 64. */
const MAX_MOVED_BYTES = 4096;

/** The array itself, or a copy if the garbage collector may move it. */
export function fixed(data: HostArray): HostArray {
  if (data.byteLength > MAX_MOVED_BYTES) return data;
  const copy = new HOST_ARRAY[dtypeOf(data)](new ArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}

/** The type of the tensors that an array fits. */
export function dtypeOf(data: HostArray): LazyDtype {
  if (data instanceof Float32Array) return 'float32';
  return data instanceof Int32Array ? 'int32' : 'bool';
}

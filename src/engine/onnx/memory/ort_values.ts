/** @file Makes OrtValues, the tensors of ONNX Runtime's C functions. */
import type { HostArray } from '../../record/tensor.js';
import type { OrtApi, Pointer } from '../c_api.js';
import { ELEMENT_TYPE, type TensorInfo } from '../model_format.js';

/** Memory on the host or a GPU. */
export interface Place {
  readonly memoryInfo: Pointer;
  /** Address of the memory, or the array that owns it. */
  readonly data: Pointer | HostArray;
  readonly bytes: number;
}

/** Makes a tensor of undefined content. */
export function createTensor(api: OrtApi, allocator: Pointer, info: TensorInfo): Pointer {
  return api.create((out) => api.CreateTensorAsOrtValue(allocator, ...descriptionOf(info), out));
}

/** Makes a tensor in memory that it does not own. */
export function tensorIn(api: OrtApi, { memoryInfo, data, bytes }: Place, info: TensorInfo): Pointer {
  return api.create((out) =>
    api.CreateTensorWithDataAsOrtValue(memoryInfo, data, bytes, ...descriptionOf(info), out),
  );
}

/** Shape, rank and type, as the C functions take them. */
function descriptionOf({ shape, dtype }: TensorInfo) {
  const dimensions = BigInt64Array.from(shape.length ? shape : [0], BigInt);
  return [dimensions, shape.length, ELEMENT_TYPE[dtype]] as const;
}

/** @file tfjs, loaded as what it is, CommonJS: `import` would read its 5 MB twice over for the names of its exports. */
import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs';

export const tf: typeof tfjs = createRequire(import.meta.url)('@tensorflow/tfjs');

/** The types in use. */
export declare namespace tf {
  export type BackendValues = tfjs.backend_util.BackendValues;
  export type DataStorage<T> = tfjs.DataStorage<T>;
  export type DataType = tfjs.DataType;
  export type KernelBackend = tfjs.KernelBackend;
  export type NamedAttrMap = tfjs.NamedAttrMap;
  export type NamedTensorInfoMap = tfjs.NamedTensorInfoMap;
  export type NamedTensorMap = tfjs.NamedTensorMap;
  export type Scalar = tfjs.Scalar;
  export type Tensor1D = tfjs.Tensor1D;
  export type Tensor2D = tfjs.Tensor2D;
  export type Tensor3D = tfjs.Tensor3D;
  export type Tensor4D = tfjs.Tensor4D;
  export type Tensor5D = tfjs.Tensor5D;
  export type Tensor<R extends tfjs.Rank = tfjs.Rank> = tfjs.Tensor<R>;
  export type TensorContainer = tfjs.TensorContainer;
  export type TensorInfo = tfjs.TensorInfo;
  export type Variable<R extends tfjs.Rank = tfjs.Rank> = tfjs.Variable<R>;
}

/** @file The engine's tensors as tensors of the host. */
import * as tf from '@tensorflow/tfjs';
import type { HostTensor } from '../formats/host_tensor.js';

/** A backend whose reads are copies; others may give their own memory. */
export interface CopyingBackend {
  readonly readsAreCopies: true;
}

/** A float32 tensor of the engine, read when its bytes are asked for, which has to be before it changes. */
export function hostTensor(tensor: tf.Tensor, shape: readonly number[]): HostTensor {
  const bytes = () => {
    const data = tensor.dataSync<'float32'>();
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  };
  const isCopy = (tf.backend() as Partial<CopyingBackend>).readsAreCopies;
  return { dtype: 'float32', shape, bytes, ownBytes: isCopy ? bytes : undefined };
}

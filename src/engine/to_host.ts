/** @file Makes host tensors of an engine's tensors. */
import type { HostTensor } from '../formats/host_tensor.js';
import { bytesOf } from '../util/bytes.js';
import { tf } from './tfjs.js';

/** A backend whose reads return copies. Other backends may return their own memory. */
export interface CopyingBackend {
  readonly readsAreCopies: true;
}

/** A float32 tensor of the engine as a host tensor. Its content is read when its bytes are requested. */
export function hostTensor(tensor: tf.Tensor, shape: readonly number[]): HostTensor {
  const bytes = () => bytesOf(tensor.dataSync<'float32'>());
  const isCopy = (tf.backend() as Partial<CopyingBackend>).readsAreCopies;
  return { dtype: 'float32', shape, bytes, ownBytes: isCopy ? bytes : undefined };
}

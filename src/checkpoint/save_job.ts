/** @file A checkpoint on its way to the disk, in a form that can be handed to a thread. */

import { replaceFile } from '../files/atomic_file.js';
import type { DType, HostTensor } from '../formats/host_tensor.js';
import { pickle } from '../formats/pickle/pickler.js';
import { writePickled } from '../formats/pth/pth_writer.js';
import type { PyValue } from '../formats/python/values.js';

export interface SaveJob {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly tensors: readonly HostTensor[];
  /** File that gets `path` as its content once the checkpoint is there, or null. */
  readonly pointer: string | null;
}

/** A job with a copy of all its data, which a thread can take over. */
export interface CopiedJob extends Omit<SaveJob, 'tensors'> {
  readonly tensors: readonly { dtype: DType; shape: readonly number[]; data: Uint8Array }[];
}

export function makeJob(path: string, value: PyValue, pointer: string | null): SaveJob {
  return { path, ...pickle(value), pointer };
}

export function copyJob({ bytes, tensors, ...rest }: SaveJob): CopiedJob {
  return {
    ...rest,
    bytes: bytes.slice(),
    // An engine may hand out memory that it goes on using.
    tensors: tensors.map((tensor) => ({
      dtype: tensor.dtype,
      shape: tensor.shape,
      data: tensor.ownBytes?.() ?? tensor.bytes().slice(),
    })),
  };
}

export function jobOfCopy({ tensors, ...rest }: CopiedJob): SaveJob {
  return {
    ...rest,
    tensors: tensors.map(({ dtype, shape, data }) => ({ dtype, shape, bytes: () => data })),
  };
}

/** Writes the checkpoint, then the pointer to it, each replaced as a whole. Throws CheckpointError if the disk refuses. */
export async function runJob({ path, bytes, tensors, pointer }: SaveJob): Promise<void> {
  await writePickled(path, { bytes, tensors });
  if (pointer !== null) await replaceFile(pointer, (sink) => sink.write(Buffer.from(path)));
}

/** @file Writes a packed checkpoint to the disk, in this thread or another one, and repeats failed writes. */
import { CheckpointError } from '../errors.js';
import { retry } from '../files/retry.js';
import type { DType, HostTensor } from '../formats/host_tensor.js';
import { writePickled } from '../formats/pth/pth_writer.js';
import { EXTENSION, startThread } from '../util/threads.js';
import { writePointer } from './pointer.js';

const THREAD = new URL(`./writer_thread${EXTENSION}`, import.meta.url);

/** A checkpoint to write. */
export interface PackedCheckpoint {
  readonly path: string;
  /** The pickle, and the tensors that it refers to. */
  readonly bytes: Uint8Array;
  readonly tensors: readonly HostTensor[];
  /** The file that receives `path` as its content once the checkpoint is complete, or null. */
  readonly pointer: string | null;
}

/** A checkpoint with a copy of all its data, which a thread can take over. */
export interface CopiedCheckpoint extends Omit<PackedCheckpoint, 'tensors'> {
  readonly tensors: readonly { dtype: DType; shape: readonly number[]; data: Uint8Array }[];
}

/** How a failed write is repeated. */
export interface Patience {
  /** How long a failed write is repeated, in seconds. */
  readonly retrySeconds: number;
  /** Called with the error before each new try. */
  onRetry(error: CheckpointError): void;
}

/** Copies all data of a checkpoint. */
export function copyCheckpoint({ bytes, tensors, ...rest }: PackedCheckpoint): CopiedCheckpoint {
  return {
    ...rest,
    bytes: bytes.slice(),
    // `bytes` may return memory that the engine still uses.
    tensors: tensors.map((tensor) => ({
      dtype: tensor.dtype,
      shape: tensor.shape,
      data: tensor.ownBytes?.() ?? tensor.bytes().slice(),
    })),
  };
}

/**
 * Writes the checkpoint, then the pointer to it, each replaced as a whole. The tensors must not change until the promise
 * settles. Throws CheckpointError if the disk refuses; the earlier files are unchanged then.
 */
export function writeCheckpoint(
  { path, bytes, tensors, pointer }: PackedCheckpoint,
  { retrySeconds, onRetry }: Patience,
): Promise<void> {
  const write = async () => {
    await writePickled(path, { bytes, tensors });
    if (pointer !== null) await writePointer(pointer, path);
  };
  return retry(write, retrySeconds, onRetry);
}

/** The message that starts a writer thread. */
export interface WriteRequest {
  readonly checkpoint: CopiedCheckpoint;
  readonly retrySeconds: number;
}

/** A message from a writer thread. An error crosses threads as its text; `refused`: the disk refused the file. */
export type WriteReply =
  | { readonly kind: 'retry'; readonly message: string }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string; readonly refused: boolean };

/** Writes the checkpoint as `writeCheckpoint` does, in a thread of its own; takes over the memory of the copy. */
export function writeInThread(
  checkpoint: CopiedCheckpoint,
  { retrySeconds, onRetry }: Patience,
): Promise<void> {
  // Each checkpoint has its own thread: when a thread ends, the memory of the copy is free at once.
  const thread = startThread(THREAD);
  return new Promise<void>((resolve, reject) => {
    const receive = (reply: WriteReply) => {
      if (reply.kind === 'retry') onRetry(new CheckpointError(reply.message));
      else if (reply.kind === 'done') end();
      else end(reply.refused ? new CheckpointError(reply.message) : new Error(reply.message));
    };
    const die = (error: unknown) => {
      const why = error instanceof Error ? error.message : `exit code ${error}`;
      end(new CheckpointError(`${checkpoint.path}: was not written: the writer thread ended: ${why}`));
    };
    const end = (error?: Error) => {
      thread.off('message', receive).off('error', die).off('exit', die);
      void thread.terminate().then(() => (error ? reject(error) : resolve()));
    };
    thread.on('message', receive).on('error', die).on('exit', die);
    const memory = checkpoint.tensors.map(({ data }) => data.buffer as ArrayBuffer);
    thread.postMessage({ checkpoint, retrySeconds } satisfies WriteRequest, memory);
  });
}

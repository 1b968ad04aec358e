/** @file The thread that writes checkpoints while the main thread trains. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { CheckpointError } from '../errors.js';
import { retry } from '../files/retry.js';
import { type CopiedJob, jobOfCopy, runJob } from './save_job.js';

export interface SaveRequest {
  readonly job: CopiedJob;
  /** For how long the disk may refuse, in seconds. */
  readonly retrySeconds: number;
}

/** An error crosses between threads as its message; `refused`: the disk is to blame. */
export type SaveReply =
  | { readonly kind: 'again'; readonly message: string }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string; readonly refused: boolean };

const port = parentPort as MessagePort;
const reply = (message: SaveReply) => port.postMessage(message);

port.once('message', async ({ job, retrySeconds }: SaveRequest) => {
  try {
    await retry(
      () => runJob(jobOfCopy(job)),
      retrySeconds,
      (error) => reply({ kind: 'again', message: error.message }),
    );
    reply({ kind: 'done' });
  } catch (error) {
    const { message } = error as Error;
    reply({ kind: 'failed', message, refused: error instanceof CheckpointError });
  }
});

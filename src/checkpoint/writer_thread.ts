/** @file The thread that writes one checkpoint while the main thread trains. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { CheckpointError } from '../errors.js';
import { type WriteReply, type WriteRequest, writeCheckpoint } from './write_checkpoint.js';

const port = parentPort as MessagePort;
const reply = (message: WriteReply) => port.postMessage(message);

port.once('message', async ({ checkpoint, retrySeconds }: WriteRequest) => {
  const tensors = checkpoint.tensors.map(({ dtype, shape, data }) => ({ dtype, shape, bytes: () => data }));
  const onRetry = ({ message }: CheckpointError) => reply({ kind: 'retry', message });
  try {
    await writeCheckpoint({ ...checkpoint, tensors }, { retrySeconds, onRetry });
    reply({ kind: 'done' });
  } catch (error) {
    const { message } = error as Error;
    reply({ kind: 'failed', message, refused: error instanceof CheckpointError });
  }
});

/** @file Computes on the kernels of plain JavaScript while another engine is in use, for comparison. */
import { tf } from './tfjs.js';

/** Runs `work` on the `cpu` engine, whatever engine is current, and then makes that one current again. */
export async function onPlainEngine<T>(work: () => Promise<T>): Promise<T> {
  const current = tf.getBackend();
  await tf.setBackend('cpu');
  try {
    return await work();
  } finally {
    await tf.setBackend(current);
  }
}

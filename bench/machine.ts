/** @file Peak rates of this machine for comparison, matrix products and copies on the engine in use; and processor time. */
import { readFileSync } from 'node:fs';
import { tf } from '../src/engine/tfjs.js';

/** Seconds of each of `count` calls of `compute`; one call before them is not counted. */
export function timeRuns(compute: () => tf.Tensor | tf.Tensor[], count: number): number[] {
  const run = () => {
    const start = performance.now();
    const results = [tf.tidy(compute)].flat();
    // Engines work asynchronously; reading one element waits for the result and copies little.
    for (const result of results) tf.tidy(() => result.flatten().slice([0], [1])).dataSync();
    tf.dispose(results);
    return (performance.now() - start) / 1000;
  };
  run();
  return Array.from({ length: count }, run);
}

/** Processor time of this process's main thread in seconds, which other threads on the same cores do not disturb; null where only Linux would tell. */
export function mainThreadSeconds(): number | null {
  if (process.platform !== 'linux') return null;
  return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e9;
}

/** Best GFLOP/s of several products [2816, 768]·[768, 768]. */
export function matMulRate(): number {
  const [rows, inner, columns] = [2816, 768, 768];
  return tf.tidy(() => {
    const [a, b] = [tf.ones([rows, inner]) as tf.Tensor2D, tf.ones([inner, columns]) as tf.Tensor2D];
    const seconds = Math.min(...timeRuns(() => tf.matMul(a, b), 15));
    return (2 * rows * inner * columns) / seconds / 1e9;
  });
}

/** Best GB/s, read and written together, of several additions to 64 MiB. */
export function copyRate(): number {
  const size = 2 ** 24;
  return tf.tidy(() => {
    const [x, one] = [tf.ones([size]), tf.scalar(1)];
    const seconds = Math.min(...timeRuns(() => x.add(one), 15));
    return (8 * size) / seconds / 1e9;
  });
}

/** @file What this machine can do at best, to compare with: its matrix products and copies on the engine in use. */
import * as tf from '@tensorflow/tfjs';

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Seconds of each of `count` runs of `compute`, after one that is not counted. */
export function timeRuns(compute: () => tf.Tensor | tf.Tensor[], count: number): number[] {
  const run = () => {
    const start = performance.now();
    const results = [tf.tidy(compute)].flat();
    // Reading one element waits for an engine that works ahead; its copy is small.
    for (const result of results) tf.tidy(() => result.flatten().slice([0], [1])).dataSync();
    tf.dispose(results);
    return (performance.now() - start) / 1000;
  };
  run();
  return Array.from({ length: count }, run);
}

/** GFLOP/s of the product [2816, 768]·[768, 768], the best of several. */
export function matMulRate(): number {
  const [rows, inner, columns] = [2816, 768, 768];
  return tf.tidy(() => {
    const [a, b] = [tf.ones([rows, inner]) as tf.Tensor2D, tf.ones([inner, columns]) as tf.Tensor2D];
    const seconds = Math.min(...timeRuns(() => tf.matMul(a, b), 15));
    return (2 * rows * inner * columns) / seconds / 1e9;
  });
}

/** GB/s, read and written together, of an addition to 64 MiB: the best of several. */
export function copyRate(): number {
  const size = 2 ** 24;
  return tf.tidy(() => {
    const [x, one] = [tf.ones([size]), tf.scalar(1)];
    const seconds = Math.min(...timeRuns(() => x.add(one), 15));
    return (8 * size) / seconds / 1e9;
  });
}

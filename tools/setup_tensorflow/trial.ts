/** @file Checks one matrix product and its gradient on the installed TensorFlow; runs in a process of its own. */
import { machineProbe } from '../../src/engine/probe.js';
import { findInstall, type TensorflowPackage } from '../../src/engine/tensorflow/install.js';
import { loadTensorflow } from '../../src/engine/tensorflow/load.js';
import { tf } from '../../src/engine/tfjs.js';
import { chooseThreads } from '../../src/engine/threads.js';
import type { DeviceName } from '../../src/engine/types.js';
import { UserError } from '../../src/errors.js';

const SIZE = 512;
const REPEATS = 5;

/** Entries that float32 holds exactly, so that the results must equal the integers that JavaScript computes. */
function pattern(step: number, modulus: number): Float32Array {
  return Float32Array.from({ length: SIZE * SIZE }, (_, i) => ((i * step) % modulus) - (modulus >> 1));
}

function differences(actual: Float32Array, expected: (row: number, column: number) => number): number {
  let count = 0;
  for (let row = 0; row < SIZE; row += 37)
    for (let column = 0; column < SIZE; column += 41)
      if (actual[row * SIZE + column] !== expected(row, column)) count++;
  return count;
}

async function main([name, device]: string[]): Promise<void> {
  const probe = machineProbe();
  const install = findInstall(probe, name as TensorflowPackage);
  if (!install) throw new UserError(`${name} is not installed`);
  const loaded = await loadTensorflow(probe, install, {
    device: device as DeviceName,
    threads: chooseThreads(probe).threads,
    verbose: false,
  });
  if (loaded.device !== device)
    throw new UserError(`libtensorflow ${loaded.version} finds no GPU that it can use`);

  const [a, b] = [pattern(7, 11), pattern(5, 13)];
  const [x, y] = [tf.tensor2d(a, [SIZE, SIZE]), tf.tensor2d(b, [SIZE, SIZE])];
  const product = tf.matMul(x, y).dataSync() as Float32Array;
  const gradient = tf
    .grad((z) => tf.matMul(z, y).sum())(x)
    .dataSync() as Float32Array;
  const rowSums = Array.from({ length: SIZE }, (_, row) =>
    b.subarray(row * SIZE, (row + 1) * SIZE).reduce((sum, value) => sum + value, 0),
  );
  const wrong =
    differences(product, (row, column) => {
      let sum = 0;
      for (let k = 0; k < SIZE; k++) sum += a[row * SIZE + k] * b[k * SIZE + column];
      return sum;
    }) + differences(gradient, (_, column) => rowSums[column]);
  if (wrong > 0)
    throw new UserError(`libtensorflow ${loaded.version} computes wrong numbers: ${wrong} differ`);

  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < REPEATS; i++) {
    const begin = performance.now();
    tf.matMul(x, y).dataSync();
    best = Math.min(best, performance.now() - begin);
  }
  const gigaflops = (2 * SIZE ** 3) / best / 1e6;
  console.log(JSON.stringify({ version: loaded.version, device: loaded.device, gigaflops }));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});

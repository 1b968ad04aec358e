/**
 * @file Measures the rate of bfloat16 matrix products of random operands through the engine's cuBLASLt. Prints one line of JSON.
 *
 *   node matrix_rate.js [SIZE]
 */
import { GEMM_WORKSPACE_BYTES, type Gemm } from '../../src/engine/cuda/compile/program.js';
import { toBfloat16 } from '../../src/engine/cuda/device/bfloat16.js';
import { runningBackend } from '../../src/engine/cuda/start.js';
import { selectEngine } from '../../src/engine/index.js';
import { Rng } from '../../src/util/random.js';
import { median } from '../statistics.js';

/** Products between two waits: so many that the wait does not count. */
const PRODUCTS = 20;
/** The first round is not counted. */
const ROUNDS = 6;

const size = Number(process.argv[2] ?? 8192);
const engine = await selectEngine({ engine: 'cuda', precision: 'bfloat16', strict: true });
const device = runningBackend()?.device;
if (!device?.cublasLt) throw new Error('cuBLASLt is not found');
const { cublasLt, stream } = device;

const matrix = { storage: 'bfloat16', isTransposed: false, stride: size, batchStride: 0 } as const;
const gemm: Gemm = {
  ...{ M: size, N: size, K: size, batch: 1, a: matrix, b: matrix, c: matrix, alpha: 1, beta: 0 },
  ...{ compute: 'float32', epilogue: 'none', biasStorage: 'float32', alignment: 256 },
};
const plan = cublasLt.plan(gemm, GEMM_WORKSPACE_BYTES);
if (!plan) throw new Error(`cuBLASLt has no algorithm for ${size}³`);

// Products of zeros, or of equal numbers, need less power and run faster.
const rng = new Rng(1);
const values = toBfloat16(Float32Array.from({ length: size * size }, () => rng.uniformBetween(-1, 1)));
const bytes = new Uint8Array(values.buffer);
const [a, b, c] = Array.from({ length: 3 }, () => device.allocate(bytes.length));
const workspace = device.allocate(GEMM_WORKSPACE_BYTES);
for (const block of [a, b]) device.upload(block, bytes);

const rates = Array.from({ length: ROUNDS }, () => {
  device.synchronizeSync();
  const start = performance.now();
  for (let i = 0; i < PRODUCTS; i++)
    cublasLt.run(plan, { a: a.address, b: b.address, c: c.address }, workspace.address, stream);
  device.synchronizeSync();
  return (PRODUCTS * 2 * size ** 3) / ((performance.now() - start) / 1000);
}).slice(1);
console.log(
  JSON.stringify({
    engine: engine.description,
    gpu: engine.gpu?.name,
    size,
    flops_per_second: median(rates),
    best_flops_per_second: Math.max(...rates),
  }),
);

/** @file The program of the self-test: kernels of each kind and a product on the GPU, compared with double precision. */
import { Rng } from '../../util/random.js';
import { machineProbe } from '../probe.js';
import { tf } from '../tfjs.js';
import type { SelfTestResult } from './self_test.js';
import { type CudaStart, startBackend } from './start.js';

/** Largest difference, relative to the largest value. */
const TOLERANCE = 1e-4;
/** The same for products, whose operands are rounded. */
const PRODUCT_TOLERANCE = { float32: TOLERANCE, tf32: 4e-3, bfloat16: 3e-2 } as const;
/** A graph that runs for the second time is captured, and the third run launches it again. */
const RUNS = 3;

const [ROWS, WIDTH, INNER] = [203, 130, 261];
const rng = new Rng(1);
const random = (size: number) => Float32Array.from({ length: size }, () => rng.uniformBetween(-1, 1));
const x = random(ROWS * WIDTH);
const y = random(WIDTH);
const left = random(ROWS * INNER);
const right = random(INNER * WIDTH);
const index = Int32Array.from({ length: ROWS }, () => rng.int(17));

interface Case {
  readonly name: string;
  compute(): tf.Tensor;
  readonly expected: Float64Array;
  readonly tolerance?: Readonly<Record<CudaStart['precision'], number>>;
}

/** A matrix [ROWS, WIDTH] of a formula. */
function matrix(formula: (row: number, column: number) => number): Float64Array {
  return Float64Array.from({ length: ROWS * WIDTH }, (_, i) => formula(Math.floor(i / WIDTH), i % WIDTH));
}

const dot = (row: number, column: number) => {
  let sum = 0;
  for (let k = 0; k < INNER; k++) sum += left[row * INNER + k] * right[k * WIDTH + column];
  return sum;
};

const CASES: readonly Case[] = [
  {
    name: 'an elementwise formula',
    compute: () => matrixOf(x).mul(tf.tensor1d(y)).exp().sub(matrixOf(x)),
    expected: matrix(
      (row, column) => Math.exp(x[row * WIDTH + column] * y[column]) - x[row * WIDTH + column],
    ),
  },
  {
    name: 'a sum of columns',
    compute: () => matrixOf(x).sum(0),
    expected: Float64Array.from(y, (_, column) => {
      let sum = 0;
      for (let row = 0; row < ROWS; row++) sum += x[row * WIDTH + column];
      return sum;
    }),
  },
  {
    name: 'a softmax of rows',
    compute: () => tf.softmax(matrixOf(x)),
    expected: matrix((row, column) => {
      const exponentials = x.subarray(row * WIDTH, (row + 1) * WIDTH).map(Math.exp);
      return exponentials[column] / exponentials.reduce((sum, value) => sum + value, 0);
    }),
  },
  {
    name: 'a gather of rows',
    compute: () => tf.gather(matrixOf(x), tf.tensor1d(index, 'int32')),
    expected: matrix((row, column) => x[index[row] * WIDTH + column]),
  },
  {
    name: 'a scatter of rows',
    compute: () => tf.scatterND(tf.tensor2d(index, [ROWS, 1], 'int32'), matrixOf(x), [ROWS, WIDTH]),
    expected: matrix((target, column) => {
      let sum = 0;
      for (let row = 0; row < ROWS; row++) if (index[row] === target) sum += x[row * WIDTH + column];
      return sum;
    }),
  },
  {
    name: 'a matrix product',
    compute: () => tf.matMul(tf.tensor2d(left, [ROWS, INNER]), tf.tensor2d(right, [INNER, WIDTH])),
    expected: matrix(dot),
    tolerance: PRODUCT_TOLERANCE,
  },
];

function matrixOf(values: Float32Array): tf.Tensor2D {
  return tf.tensor2d(values, [ROWS, WIDTH]);
}

/** Throws if a result is wrong. */
function check({ name, compute, expected, tolerance }: Case, precision: CudaStart['precision']): void {
  const values = tf.tidy(() => compute().dataSync());
  const scale = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const limit = (tolerance?.[precision] ?? TOLERANCE) * scale;
  const isWrong = expected.some((value, i) => !(Math.abs(values[i] - value) <= limit));
  if (isWrong || values.length !== expected.length) throw new Error(`${name} has wrong results`);
}

async function selfTest(): Promise<SelfTestResult> {
  try {
    const start = JSON.parse(process.argv[2]) as CudaStart;
    tf.env().set('PROD', true);
    await startBackend(machineProbe(), start);
    for (let run = 0; run < RUNS; run++) for (const test of CASES) check(test, start.precision);
    return {};
  } catch (error) {
    return { failure: (error as Error).message.split('\n')[0] };
  }
}

process.send?.(await selfTest());

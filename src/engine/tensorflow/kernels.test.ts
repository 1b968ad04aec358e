/** @file The operations that training uses give the same values and gradients on tfjs-node as on tfjs's plain backend. */
import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../test/golden/golden.js';
import { Rng } from '../../util/random.js';
import { selectEngine } from '../index.js';
import { machineProbe } from '../probe.js';
import { tf } from '../tfjs.js';
import { CPU_PACKAGE, installProblems } from './install.js';

const problems = installProblems(machineProbe(), CPU_PACKAGE);
const TOLERANCE = 3e-6;
const INDICES = Int32Array.from({ length: 3000 }, (_, i) => (i * i * 7 + i) % 40);

type Inputs = tf.Tensor[];
/** Name, shapes of the differentiated inputs, function; inputs lie between −1 and 1. */
type Case = [name: string, shapes: number[][], f: (...inputs: Inputs) => tf.Tensor];

const conv = (x: tf.Tensor, w: tf.Tensor, stride: number | [number, number, number], pad: 'same' | 'valid') =>
  tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, stride, pad);
const indices = (...shape: number[]) => tf.tensor(INDICES, shape as [number], 'int32') as tf.Tensor1D;

const cases: Case[] = [
  [
    'matMul',
    [
      [33, 50],
      [50, 21],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    'matMul, both transposed',
    [
      [50, 33],
      [21, 50],
    ],
    (a, b) => tf.matMul(a, b, true, true),
  ],
  [
    'matMul, batched',
    [
      [2, 3, 33, 50],
      [2, 3, 21, 50],
    ],
    (a, b) => tf.matMul(a, b, false, true),
  ],
  ['transpose', [[2, 3, 4, 5, 2, 3]], (a) => tf.transpose(a, [0, 4, 1, 5, 2, 3])],
  ['softmax', [[4, 7, 19]], (a) => tf.softmax(tf.mul(a, 50))],
  ['logSumExp', [[4, 7, 19]], (a) => tf.logSumExp(tf.mul(a, 300), -1)],
  ['erf', [[300]], (a) => tf.erf(tf.mul(a, 4))],
  ['sigmoid', [[300]], (a) => tf.sigmoid(tf.mul(a, 30))],
  ['log1p', [[300]], (a) => tf.log1p(tf.mul(a, 0.9))],
  [
    'broadcasting, rank 5',
    [
      [2, 3, 4, 5, 6],
      [3, 1, 5, 1],
    ],
    (a, b) => tf.mul(a, b),
  ],
  ['mean and variance', [[30, 17]], (a) => tf.moments(a, -1, true).variance],
  ['max', [[4, 5, 60]], (a) => tf.max(a, -1)],
  [
    'where',
    [
      [40, 50],
      [40, 50],
    ],
    (a, b) => tf.where(tf.cast(tf.reshape(indices(3000).slice(0, 2000), [40, 50]), 'bool'), a, b),
  ],
  ['cumsum', [[40, 50]], (a) => tf.cumsum(a, 1, true)],
  [
    'concat and slice',
    [
      [4, 5, 6],
      [4, 3, 6],
    ],
    (a, b) => tf.slice(tf.concat([a, b], 1), [1, 2, 0], [3, 5, 6]),
  ],
  [
    'pad',
    [[2, 3, 4, 5, 6]],
    (a) =>
      tf.pad(a, [
        [0, 0],
        [1, 1],
        [1, 1],
        [1, 2],
        [0, 0],
      ]),
  ],
  ['gather rows', [[40, 16]], (a) => tf.gather(a, indices(3000))],
  ['unsortedSegmentSum', [[3000, 16]], (a) => tf.unsortedSegmentSum(a, indices(3000), 40)],
  [
    'conv3d 3×3×3',
    [
      [2, 4, 9, 11, 8],
      [3, 3, 3, 8, 6],
    ],
    (x, w) => conv(x, w, 1, 'same'),
  ],
  [
    'conv3d, strided',
    [
      [1, 4, 16, 16, 3],
      [2, 4, 4, 3, 6],
    ],
    (x, w) => conv(x, w, [2, 4, 4], 'valid'),
  ],
  ['maxPool', [[2, 10, 12, 8]], (x) => tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid')],
];

/** The value and, by a random projection, the gradients. */
function evaluate([name, shapes, f]: Case): Float32Array[] {
  return tf.tidy(() => {
    const rng = new Rng(name.length);
    const random = (shape: number[]) =>
      tf.tensor(
        Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.uniformBetween(-1, 1)),
        shape,
      );
    const inputs = shapes.map(random);
    const value = f(...inputs);
    const weights = random(value.shape);
    const gradients = tf.grads((...x: Inputs) => tf.sum(tf.mul(f(...x), weights)))(inputs);
    return [value, ...gradients].map((tensor) => tensor.dataSync().slice() as Float32Array);
  });
}

describe.skipIf(problems.length > 0)('tfjs-node', () => {
  beforeAll(async () => {
    await selectEngine({ engine: 'tensorflow', device: 'cpu' });
  });

  it.each(cases)('gives the value and gradients of %s', async (...testCase) => {
    await tf.setBackend('cpu');
    const expected = evaluate(testCase);
    await tf.setBackend('tensorflow');
    const actual = evaluate(testCase);
    for (const [i, values] of actual.entries())
      expect(relativeError(values, expected[i])).toBeLessThan(TOLERANCE);
  });

  it('adds rows with many equal indices correctly, with the same bits every time', () => {
    const rows = Float32Array.from({ length: 3000 * 16 }, (_, i) => Math.sin(i * i));
    const sums = new Float64Array(40 * 16);
    rows.forEach((value, i) => {
      sums[INDICES[i >> 4] * 16 + (i & 15)] += value;
    });
    const run = () =>
      tf.tidy(() => {
        const updates = tf.tensor(rows, [3000, 16]);
        const scattered = tf.scatterND(indices(3000, 1), updates, [40, 16]);
        return [scattered, tf.unsortedSegmentSum(updates, indices(3000), 40)].map((x) =>
          x.dataSync().slice(),
        );
      });
    const first = run();
    for (const values of first) expect(relativeError(values, sums)).toBeLessThan(TOLERANCE);
    for (let i = 0; i < 20; i++) expect(run()).toEqual(first);
  });

  it('gives the same bits every time for operations on several threads', () => {
    const run = () =>
      tf.tidy(() => {
        const [a, b] = [1, 2].map((seed) => tf.randomNormal([500, 400], 0, 1, 'float32', seed));
        const [x, w] = [
          [1, 8, 16, 16, 32],
          [3, 3, 3, 32, 32],
        ].map((shape) => tf.randomNormal(shape, 0, 1, 'float32', 3));
        const gradients = tf.grads((p, q) => tf.sum(tf.square(conv(p, q, 1, 'same'))))([x, w]);
        const values = [tf.matMul(a, b, true), tf.softmax(a), tf.sum(a), ...gradients];
        return values.map((tensor) => Buffer.from(tensor.dataSync().slice().buffer).toString('base64'));
      });
    const first = run();
    for (let i = 0; i < 5; i++) expect(run()).toEqual(first);
  });
});

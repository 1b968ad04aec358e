/** @file Batch normalisation: statistics, running statistics, frozen norms, gradients by finite differences. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, randomize } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { BatchNorm, type BatchStatistics, type NormScope } from './batch_norm.js';
import { initializeParameters } from './module.js';

const SHAPE = [2, 2, 3, 4, 3];

function makeNorm(frozen = false): BatchNorm {
  const norm = new BatchNorm(3, { frozen });
  initializeParameters(norm, 1);
  randomize(norm, new Rng(4));
  norm.running_mean.set([0.5, -1, 2]);
  norm.running_var.set([1, 4, 0.25]);
  return norm;
}

const tensor = ({ shape, data }: { shape: number[]; data: Float32Array }) => tf.tensor(data, shape);

describe('BatchNorm', () => {
  it('normalises each channel over all positions', () => {
    const norm = makeNorm();
    const x = normals(SHAPE, new Rng(5), 3);
    let statistics: BatchStatistics | null = null;
    const y = tf
      .tidy(() => norm.forward(tensor(x), { scope: { take: (found) => (statistics = found) } }))
      .dataSync();
    const { mean, variance, count } = statistics as unknown as BatchStatistics;
    expect(count).toBe(48);
    for (let c = 0; c < 3; c++) {
      const channel = x.data.filter((_, n) => n % 3 === c);
      const m = channel.reduce((a, b) => a + b) / 48;
      const v = channel.reduce((a, b) => a + (b - m) ** 2, 0) / 48;
      expect(mean.dataSync()[c]).toBeCloseTo(m, 5);
      expect(variance.dataSync()[c]).toBeCloseTo(v, 4);
      const [weight, bias] = [norm.weight.value.dataSync()[c], norm.bias.value.dataSync()[c]];
      for (let n = c; n < y.length; n += 3)
        expect(y[n]).toBeCloseTo(((x.data[n] - m) / Math.sqrt(v + 1e-5)) * weight + bias, 4);
    }
    tf.dispose([mean, variance]);
    norm.dispose();
  });

  it('keeps running statistics with the unbiased variance', () => {
    const norm = makeNorm();
    norm.track(Float32Array.of(1, 1, 1), Float32Array.of(2, 2, 2), 5);
    expect(Array.from(norm.running_mean.data, (m) => Number(m.toFixed(5)))).toEqual([0.55, -0.8, 1.9]);
    expect(Array.from(norm.running_var.data, (v) => Number(v.toFixed(5)))).toEqual([1.15, 3.85, 0.475]);
    expect(Array.from(norm.num_batches_tracked.data)).toEqual([1]);
    norm.dispose();
  });

  it.each([
    ['in evaluation mode', false],
    ['if it is frozen', true],
  ])('uses the running statistics %s', (_, frozen) => {
    const norm = makeNorm(frozen);
    norm.train(frozen);
    const x = normals(SHAPE, new Rng(6));
    const read = () => tf.tidy(() => norm.forward(tensor(x))).dataSync();
    const sees = (y: ArrayLike<number>) => {
      for (let n = 0; n < y.length; n++) {
        const c = n % 3;
        const normal = (x.data[n] - norm.running_mean.data[c]) / Math.sqrt(norm.running_var.data[c] + 1e-5);
        expect(y[n]).toBeCloseTo(normal * norm.weight.value.dataSync()[c] + norm.bias.value.dataSync()[c], 4);
      }
    };
    sees(read());
    norm.running_mean.set([1, 2, 3]);
    sees(read());
    expect(norm.buffersInUse()).toHaveLength(2);
    expect(norm.train(true).buffersInUse()).toHaveLength(frozen ? 2 : 0);
    norm.dispose();
  });

  describe.each([
    ['with batch statistics', false],
    ['frozen', true],
  ])('%s', (_, frozen) => {
    it.each([
      ['alone', false, false],
      ['with a ReLU', true, false],
      ['with a residual', false, true],
      ['with both', true, true],
    ])('has the right gradients %s', (_what, relu, hasResidual) => {
      const norm = makeNorm(frozen);
      const rng = new Rng(9);
      const [x, residual] = [normals(SHAPE, rng), normals(SHAPE, rng)];
      const scope: NormScope = { take: ({ mean, variance }) => tf.dispose([mean, variance]) };
      const f = (input: tf.Tensor, r?: tf.Tensor) => norm.forward(input, { relu, residual: r, scope });
      const inputs = hasResidual ? [x, residual] : [x];
      const step = relu ? { step: 1e-4, tolerance: 0.1 } : {};
      expectGradients(f, inputs, { parameters: norm.parameters(), ...step });
      norm.dispose();
    });

    it('gives the same after a convolution', () => {
      const norm = makeNorm(frozen);
      const rng = new Rng(10);
      const [x, weight] = [normals([2, 1, 4, 3, 2], rng), normals([3, 2, 1, 3, 3], rng)];
      const residual = normals([2, 1, 4, 3, 3], rng);
      const options = { padding: [0, 1, 1], relu: true } as const;
      const scope: NormScope = { take: ({ mean, variance }) => tf.dispose([mean, variance]) };
      const f = (input: tf.Tensor, w: tf.Tensor, r: tf.Tensor) =>
        norm.after(input, w, { ...options, residual: r, scope });
      expectGradients(f, [x, weight, residual], {
        parameters: norm.parameters(),
        step: 1e-4,
        tolerance: 0.1,
      });
      norm.dispose();
    });
  });
});

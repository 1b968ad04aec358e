/** @file Attention: gradients by finite differences, values against plain arithmetic, chunks against the whole. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values, values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { attention, joinHeads, selfAttention, splitHeads } from './attention.js';
import { backward } from './tape.js';

const rng = new Rng(5);
const [S, N, M, D] = [6, 4, 5, 3];
const q = normals([S, N, D], rng);
const k = normals([S, M, D], rng);
const v = normals([S, M, D], rng);
const bias = normals([S, N, M], rng);
/** Some probabilities dropped, the others doubled. */
const mask = values([S, N, M], () => (rng.uniform() < 0.5 ? 0 : 2));

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

/** The definition, in double precision. */
function reference(scale: number, withBias: boolean, withMask: boolean): Float64Array {
  const out = new Float64Array(S * N * D);
  for (let s = 0; s < S; s++) {
    for (let n = 0; n < N; n++) {
      const scores = Array.from({ length: M }, (_, m) => {
        let dot = 0;
        for (let d = 0; d < D; d++) dot += q.data[(s * N + n) * D + d] * k.data[(s * M + m) * D + d];
        return dot * scale + (withBias ? bias.data[(s * N + n) * M + m] : 0);
      });
      const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
      for (let m = 0; m < M; m++) {
        const kept = withMask ? mask.data[(s * N + n) * M + m] : 1;
        const p = (Math.exp(scores[m]) / total) * kept;
        for (let d = 0; d < D; d++) out[(s * N + n) * D + d] += p * v.data[(s * M + m) * D + d];
      }
    }
  }
  return out;
}

/** With a bias on the scores, with a dropout mask. */
const VARIANTS: [string, boolean, boolean][] = [
  ['plain', false, false],
  ['with a bias', true, false],
  ['with a dropout mask', false, true],
  ['with both', true, true],
];

describe.each(VARIANTS)('attention %s', (_, withBias, withMask) => {
  const scale = 0.7;
  const inputs = withBias ? [q, k, v, bias] : [q, k, v];
  const options = (b: tf.Tensor | undefined, maxScores?: number) => ({
    scale,
    bias: b,
    mask: withMask ? tensor(mask) : undefined,
    maxScores,
  });

  it('computes softmax(scale·q·kᵀ + bias)·v', () => {
    const y = tf.tidy(() =>
      attention(tensor(q), tensor(k), tensor(v), options(withBias ? tensor(bias) : undefined)),
    );
    expect(y.shape).toEqual([S, N, D]);
    const expected = reference(scale, withBias, withMask);
    for (const [i, x] of y.dataSync().entries()) expect(x).toBeCloseTo(expected[i], 5);
    y.dispose();
  });

  it('has the right gradients', () => {
    expectGradients((...x) => attention(x[0], x[1], x[2], options(x[3])), inputs);
  });

  it.each([
    ['one head', N * M, 6],
    ['four heads, then two', 4 * N * M, 2],
    ['less than a head', 1, 6],
  ])('gives the same values and gradients with chunks of %s', async (_name, maxScores, chunks) => {
    const run = (limit?: number) => {
      const results = tf.tidy(() => {
        const x = inputs.map(tensor);
        const upstream = tensor(normals([S, N, D], new Rng(6)));
        const f = () => attention(x[0], x[1], x[2], options(x[3], limit)).mul(upstream).sum() as tf.Scalar;
        const { value, grads } = backward(f, x);
        return [value, ...(grads as tf.Tensor[])];
      });
      const numbers = results.map((result) => Array.from(result.dataSync()));
      tf.dispose(results);
      return numbers;
    };
    let chunked: number[][] = [];
    const { kernels } = await tf.profile(() => {
      chunked = run(maxScores);
    });
    // One softmax for each chunk, forward and backward.
    expect(kernels.filter(({ name }) => name === 'Softmax').length).toBe(2 * chunks);
    const whole = run();
    expect(chunked.length).toBe(1 + inputs.length);
    for (const [i, numbers] of chunked.entries()) {
      for (const [j, x] of numbers.entries()) expect(x).toBeCloseTo(whole[i][j], 5);
    }
  });
});

describe.each(VARIANTS)('selfAttention %s', (_, withBias, withMask) => {
  const [B, heads, tokens, features] = [2, 3, 4, 2];
  const stack = [B * heads, tokens, tokens];
  const numbers = new Rng(7);
  const qkv = normals([B, tokens, 3 * heads * features], numbers);
  const added = normals(stack, numbers);
  const kept = values(stack, () => (numbers.uniform() < 0.5 ? 0 : 2));
  const inputs = withBias ? [qkv, added] : [qkv];
  const options = (b: tf.Tensor | undefined) => ({
    scale: 0.6,
    bias: b,
    mask: withMask ? tensor(kept) : undefined,
  });

  it('has the right gradients', () => {
    expectGradients((...x) => selfAttention(x[0], heads, options(x[1])), inputs);
  });

  it('equals the attention of each head, joined', () => {
    const [whole, parts] = tf.tidy(() => {
      const b = withBias ? tensor(added) : undefined;
      const split = splitHeads(tensor(qkv), heads);
      return [
        selfAttention(tensor(qkv), heads, options(b)),
        joinHeads(attention(...split, options(b)), B, tokens),
      ];
    });
    expect(whole.shape).toEqual([B, tokens, heads * features]);
    const expected = parts.dataSync();
    for (const [i, x] of whole.dataSync().entries()) expect(x).toBeCloseTo(expected[i], 5);
    tf.dispose([whole, parts]);
  });
});

it('attention stays finite for scores beyond the range of exp', () => {
  const [big, values_1MD] = [tf.tensor([300, -300], [1, 2, 1]), tf.tensor([1, 2], [1, 2, 1])];
  const { value, grads } = backward(
    () => attention(big, big, values_1MD, { scale: 1 }).sum() as tf.Scalar,
    [big, values_1MD],
  );
  expect(value.dataSync()[0]).toBe(3);
  expect(Array.from(grads[0]!.dataSync()).every((x) => Math.abs(x) === 0)).toBe(true);
  expect(Array.from(grads[1]!.dataSync())).toEqual([1, 1]);
  tf.dispose([big, values_1MD, value, ...(grads as tf.Tensor[])]);
});

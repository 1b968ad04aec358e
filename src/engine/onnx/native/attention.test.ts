/** @file Self-attention and its gradient, compared with the formulas in double precision. */
import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';

// Several threads take the tasks in an order that differs from run to run.
process.env.STMIXER_THREADS = '3';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

interface Inputs {
  readonly qkv: KernelInput;
  readonly dy: KernelInput;
  readonly bias?: KernelInput;
  readonly mask?: KernelInput;
}

type Sizes = readonly [B: number, N: number, H: number, D: number];
type Threading = 'pool' | 'single';

/** Which of the optional operands there are. */
const VARIANTS = [
  { hasBias: false, hasMask: false },
  { hasBias: true, hasMask: false },
  { hasBias: false, hasMask: true },
  { hasBias: true, hasMask: true },
];

function randomInputs([B, N, H, D]: Sizes, { hasBias, hasMask } = VARIANTS[0]): Inputs {
  const square = [B * H, N, N];
  const mask = uniform(square, 4);
  for (const [i, x] of mask.data.entries()) mask.data[i] = x < -0.5 ? 0 : 1.5;
  return {
    qkv: uniform([B, N, 3 * H * D], 1, -2, 2),
    dy: uniform([B, N, H * D], 2),
    ...(hasBias ? { bias: uniform(square, 3, -3, 3) } : {}),
    ...(hasMask ? { mask } : {}),
  };
}

/** out, dqkv and, if there is a bias, its gradient, as the kernels compute them. */
function run(
  { dy, ...inputs }: Inputs,
  [, , heads, D]: Sizes,
  threading: Threading = 'pool',
): Float32Array[] {
  const attributes = { heads, scale: D ** -0.5 };
  const [data] = runKernel('SelfAttention', inputs, attributes, threading);
  const gradients = runKernel(
    'SelfAttentionGrad',
    { ...inputs, dy, out: { shape: dy.shape, data } },
    attributes,
    threading,
  );
  return [data, ...gradients];
}

/** softmax(scores) */
function softmax(scores: Float64Array): Float64Array {
  const max = scores.reduce((a, b) => Math.max(a, b));
  const exponentials = scores.map((x) => Math.exp(x - max));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((x) => x / sum);
}

/** The same results as of `run`, in double precision. */
function reference({ qkv, dy, bias, mask }: Inputs, [B, N, H, D]: Sizes): Float64Array[] {
  const [out, dqkv] = [dy, qkv].map(({ data }) => new Float64Array(data.length));
  const dbias = new Float64Array(bias?.data.length ?? 0);
  const scale = D ** -0.5;
  const x = Float64Array.from(qkv.data);
  for (let head = 0; head < B * H; head++) {
    const at = (part: number, n: number) =>
      (((Math.floor(head / H) * N + n) * 3 + part) * H + (head % H)) * D;
    const dot = (i: number, j: number) => {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += x[i + d] * x[j + d];
      return sum;
    };
    for (let i = 0; i < N; i++) {
      const [q, y, row] = [
        at(0, i),
        ((Math.floor(head / H) * N + i) * H + (head % H)) * D,
        (head * N + i) * N,
      ];
      const p = softmax(
        Float64Array.from({ length: N }, (_, j) => scale * dot(q, at(1, j)) + (bias?.data[row + j] ?? 0)),
      );
      const slopes = new Float64Array(N);
      for (let j = 0; j < N; j++) {
        const [v, factor] = [at(2, j), mask?.data[row + j] ?? 1];
        for (let d = 0; d < D; d++) {
          out[y + d] += factor * p[j] * x[v + d];
          dqkv[v + d] += factor * p[j] * dy.data[y + d];
          slopes[j] += factor * dy.data[y + d] * x[v + d];
        }
      }
      const inner = slopes.reduce((sum, slope, j) => sum + p[j] * slope, 0);
      for (let j = 0; j < N; j++) {
        const ds = p[j] * (slopes[j] - inner);
        if (bias) dbias[row + j] = ds;
        for (let d = 0; d < D; d++) {
          dqkv[q + d] += scale * ds * x[at(1, j) + d];
          dqkv[at(1, j) + d] += scale * ds * x[q + d];
        }
      }
    }
  }
  return bias ? [out, dqkv, dbias] : [out, dqkv];
}

const SIZES: Sizes[] = [
  [1, 1, 1, 1],
  [2, 15, 3, 7],
  [1, 50, 2, 32],
  [2, 33, 2, 40],
  // Several blocks of keys, and several tasks for each head.
  [1, 515, 1, 6],
  // Several groups of clips.
  [4, 5, 64, 256],
];

describe.each(SIZES)('attention of %i clips, %i tokens, %i heads and %i features', (...sizes) => {
  it.each(VARIANTS)('has the right results, with %o', (variant) => {
    const inputs = randomInputs(sizes, variant);
    const wanted = reference(inputs, sizes);
    const results = run(inputs, sizes);
    expect(results.length).toBe(wanted.length);
    for (const [i, numbers] of results.entries())
      expect(relativeError(numbers, wanted[i])).toBeLessThan(1e-6);
  });
});

it('has the same numbers on one thread, to the last bit', () => {
  const sizes: Sizes = [1, 600, 2, 8];
  const inputs = randomInputs(sizes, { hasBias: true, hasMask: true });
  const single = run(inputs, sizes, 'single');
  for (const [k, { buffer }] of run(inputs, sizes).entries())
    expect(Buffer.from(buffer).equals(Buffer.from(single[k].buffer))).toBe(true);
});

describe('special numbers', () => {
  const sizes: Sizes = [1, 37, 2, 4];
  const [, N, H, D] = sizes;

  it('leaves out keys whose bias is −∞', () => {
    const inputs = randomInputs(sizes, { hasBias: true, hasMask: false });
    for (let i = 0; i < H * N; i++) inputs.bias!.data.fill(-Infinity, i * N + (i % 2), i * N + 30);
    for (const [i, wanted] of reference(inputs, sizes).entries())
      expect(relativeError(run(inputs, sizes)[i], wanted)).toBeLessThan(1e-6);
  });

  it('stays exact for scores beyond the range of exp', () => {
    const inputs = randomInputs(sizes);
    // Powers of two, so that one key of each query wins.
    for (const [i, x] of inputs.qkv.data.entries()) inputs.qkv.data[i] = Math.round(x * 64) * 2 ** 8;
    const [out] = reference(inputs, sizes);
    expect(relativeError(run(inputs, sizes)[0], out)).toBeLessThan(1e-6);
  });

  it.each([NaN, Infinity])('has no finite results where a query is %d', (value) => {
    const inputs = randomInputs(sizes);
    const [token, head] = [5, 1];
    inputs.qkv.data[token * 3 * H * D + head * D + 2] = value;
    const [out, dqkv] = run(inputs, sizes);
    // The results of the query, its gradient, and those of all keys and values of the head.
    const isOfHead = (i: number) => Math.floor(i / D) % H === head;
    const isLost = (i: number) => isOfHead(i) && Math.floor(i / D / H) === token;
    expect([...out].map(Number.isFinite)).toEqual([...out].map((_, i) => !isLost(i)));
    const isLostGradient = (i: number) => {
      const row = Math.floor(i / D / H);
      return isOfHead(i) && (row === 3 * token || row % 3 > 0);
    };
    expect([...dqkv].map(Number.isFinite)).toEqual([...dqkv].map((_, i) => !isLostGradient(i)));
  });
});

it('takes empty batches', () => {
  const sizes: Sizes = [0, 5, 2, 4];
  const results = run(randomInputs(sizes, { hasBias: true, hasMask: true }), sizes);
  expect(results.map(({ length }) => length)).toEqual([0, 0, 0]);
});

/** @file Products in tasks give the same numbers as whole ones, and batches of blocks need no copy. */
import { beforeAll, describe, expect, it } from 'vitest';
import { linear } from '../../../nn/functional.js';
import { backward } from '../../../nn/tape.js';
import { Rng } from '../../../util/random.js';
import { selectEngine } from '../../index.js';
import { tf } from '../../tfjs.js';
import { GraphBuilder } from '../graph_builder.js';
import { inferGraph } from '../shapes.js';
import { evenTasks, multiply, multiplyTransposed, type ProductOptions, taskCount } from './products.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

describe('tasks', () => {
  it.each([
    [2816, 16, 16],
    [768, 16, 8],
    [352, 4, 4],
    [100, 16, 1],
    // A prime number of rows has no equal tasks.
    [2801, 16, 1],
  ])('%i rows are split into at most %i equal tasks of 88 rows or more: %i', (rows, maxTasks, tasks) => {
    expect(evenTasks(rows, maxTasks)).toBe(tasks);
  });

  it('leave short products whole', () => {
    expect(taskCount(2816, 768, 768)).toBe(16);
    expect(taskCount(2816, 64, 64)).toBe(1);
  });
});

describe('the operators of a product', () => {
  const [M, K, N] = [704, 512, 96];

  /** The operators of a graph, and the shape of its result by the rules of shape inference. */
  function shapesOf(build: (g: GraphBuilder, a: string, b: string) => string, a: number[], b: number[]) {
    const g = new GraphBuilder();
    const last = build(g, 'a', 'b');
    const inputs = [
      { name: 'a', shape: a, type: 'float32' as const },
      { name: 'b', shape: b, type: 'float32' as const },
    ];
    const { nodes, constants } = g;
    const infos = inferGraph({ nodes, constants, inputs });
    return { operators: nodes.map(({ op }) => op), shape: infos.get(last)!.shape };
  }

  it.each<[string, number[], number[], ProductOptions]>([
    ['a·b', [M, K], [K, N], {}],
    ['a·bᵀ', [M, K], [N, K], { transB: true }],
    ['aᵀ·b', [K, M], [K, N], { transA: true }],
    ['aᵀ·bᵀ', [K, M], [N, K], { transA: true, transB: true }],
  ])('have the right shape and copy nothing: %s', (_, a, b, options) => {
    for (const tasks of [1, 8]) {
      const { operators, shape } = shapesOf(
        (g, nameA, nameB) =>
          multiply(g, { name: nameA, shape: a }, { name: nameB, shape: b }, { ...options, tasks }),
        a,
        b,
      );
      expect(shape).toEqual([M, N]);
      // A Reshape is a view.
      expect(operators.filter((op) => op !== 'Reshape')).toEqual(['FusedMatMul']);
    }
  });

  it('transpose an operand only for a long sum', () => {
    const operators = (rows: number) =>
      shapesOf(
        (g, a, b) => multiplyTransposed(g, { name: a, shape: [rows, M] }, { name: b, shape: [rows, N] }),
        [rows, M],
        [rows, N],
      ).operators;
    expect(operators(100)).toEqual(['FusedMatMul']);
    expect(operators(1024)).toEqual(['Transpose', 'FusedMatMul']);
  });
});

it('a large linear layer and its gradients have the right numbers', () => {
  // 2.1 GFLOP: the forward pass, the input gradient and the weight gradient are split into tasks.
  const [rows, inner, outer] = [1408, 1024, 768];
  expect(taskCount(rows, outer, inner)).toBeGreaterThan(1);
  const rng = new Rng(4);
  const random = (...shape: number[]) => {
    const data = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => rng.uniformBetween(-1, 1));
    return { data, tensor: tf.tensor(data, shape) };
  };
  const [x, weight, bias, dy] = [
    random(rows, inner),
    random(outer, inner),
    random(outer),
    random(rows, outer),
  ];
  const value = linear(x.tensor, weight.tensor, bias.tensor);
  const { grads } = backward(
    () => linear(x.tensor, weight.tensor, bias.tensor).mul(dy.tensor).sum() as tf.Scalar,
    [x.tensor, weight.tensor],
  );
  const [y, dx, dweight] = [value, ...(grads as tf.Tensor[])].map((tensor) => tensor.dataSync());
  /** Σ a[i]·b[j] over `count` pairs. */
  const dot = (count: number, a: (k: number) => number, b: (k: number) => number) => {
    let sum = 0;
    for (let k = 0; k < count; k++) sum += a(k) * b(k);
    return sum;
  };
  for (let sample = 0; sample < 200; sample++) {
    const [n, i, o] = [rng.int(rows), rng.int(inner), rng.int(outer)];
    const at = (data: ArrayLike<number>, width: number) => (row: number, column: number) =>
      data[row * width + column];
    const [X, W, D] = [at(x.data, inner), at(weight.data, inner), at(dy.data, outer)];
    const expected = [
      bias.data[o] +
        dot(
          inner,
          (k) => X(n, k),
          (k) => W(o, k),
        ),
      dot(
        outer,
        (k) => D(n, k),
        (k) => W(k, i),
      ),
      dot(
        rows,
        (k) => D(k, o),
        (k) => X(k, i),
      ),
    ];
    const found = [y[n * outer + o], dx[n * inner + i], dweight[o * inner + i]];
    for (const [k, number] of found.entries()) expect(Math.abs(number - expected[k])).toBeLessThan(1e-3);
  }
  tf.dispose([x, weight, bias, dy].map(({ tensor }) => tensor));
  tf.dispose([value, ...(grads as tf.Tensor[])]);
});

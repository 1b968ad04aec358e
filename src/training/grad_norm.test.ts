/** @file Norms and clipping against PyTorch: numbers that it computed, and itself where it is there. */
import { describe, expect, it } from 'vitest';
import { runPython, torchTitle, torchVersion } from '../../test/support/torch.js';
import { tf } from '../engine/tfjs.js';
import { clipFactor, gradNorms, maxAbs, totalNorm } from './grad_norm.js';

/** The same gradients in both languages. */
const SHAPES = [[7], [3, 5], [2, 3, 4], [1], [40, 50]];
const element = (t: number, i: number) =>
  Math.fround((((i * 37 + t * 11) % 101) - 50) * 0.01 * 10 ** (t - 2));

const PYTHON = `
import json, torch
def grads():
    made = []
    for t, shape in enumerate(${JSON.stringify(SHAPES)}):
        n = 1
        for s in shape: n *= s
        p = torch.nn.Parameter(torch.zeros(shape))
        p.grad = torch.tensor([((i * 37 + t * 11) % 101 - 50) * 0.01 * 10.0 ** (t - 2) for i in range(n)]).reshape(shape)
        made.append(p)
    return made
out = []
for most in [1e-3, 1.0, 100.0, 1e6]:
    parameters = grads()
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    out.append({'most': most, 'norm': norm.item(), 'sums': [p.grad.double().abs().sum().item() for p in parameters]})
print(json.dumps(out))`;

import { temporaryFolder } from '../../test/support/temporary_files.js';

interface Clipped {
  most: number;
  norm: number;
  /** Of |g| after clipping, by parameter. */
  sums: number[];
}

/** What the script prints with torch 2.13. */
const EXPECTED: Clipped[] = [
  {
    most: 1e-3,
    norm: 1303.560791015625,
    sums: [
      1.4882313686959137e-8, 2.9074210139423684e-7, 4.5720921786340796e-6, 1.304120246459206e-6,
      0.03872623488894078,
    ],
  },
  {
    most: 1,
    norm: 1303.560791015625,
    sums: [
      1.4882313038810935e-5, 0.000290742088168372, 0.004572091947920853, 0.0013041202910244465,
      38.72623296856182,
    ],
  },
  {
    most: 100,
    norm: 1303.560791015625,
    sums: [
      0.001488231271650875, 0.02907420854899101, 0.45720918383449316, 0.1304120272397995, 3872.623206719756,
    ],
  },
  {
    most: 1e6,
    norm: 1303.560791015625,
    sums: [0.019400000281166285, 0.37899999937508255, 5.959999952465296, 1.7000000476837158, 50482.0],
  },
];

const make = () =>
  SHAPES.map((shape, t) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return tf.tensor(
      Float32Array.from({ length: size }, (_, i) => element(t, i)),
      shape,
    );
  });

async function expectClipped({ most, norm, sums }: Clipped): Promise<void> {
  const grads = make();
  const ours = totalNorm(await gradNorms(grads));
  expect(Math.abs(ours - norm) / norm).toBeLessThan(1e-6);
  const factor = clipFactor(ours, most);
  for (const [t, grad] of grads.entries()) {
    const sum = (grad.dataSync() as Float32Array).reduce(
      (total, g) => total + Math.abs(Math.fround(g * factor)),
      0,
    );
    expect(Math.abs(sum - sums[t]) / sums[t]).toBeLessThan(1e-6);
  }
  tf.dispose(grads);
}

describe('clipping the gradient norm', () => {
  it.each(EXPECTED)('gives the numbers of torch.nn.utils.clip_grad_norm_ at $most', expectClipped);

  it.skipIf(!torchVersion)(`gives the numbers that PyTorch gives, ${torchTitle}`, async () => {
    const found = runPython(PYTHON, temporaryFolder()) as Clipped[];
    expect(found.map(({ most }) => most)).toEqual(EXPECTED.map(({ most }) => most));
    for (const clipped of found) await expectClipped(clipped);
  });
});

describe('gradient norms', () => {
  it('are not finite exactly if an element is not', async () => {
    const tensors = [
      tf.tensor1d([3e38, -3e38, 1]),
      tf.tensor1d([1, Number.NaN, 2]),
      tf.tensor1d([Number.NEGATIVE_INFINITY, 2]),
      tf.tensor1d([3, 4]),
      tf.tensor1d([0, 0]),
    ];
    const before = tf.memory().numTensors;
    const [huge, ...others] = await gradNorms(tensors);
    expect(huge / (3e38 * Math.SQRT2)).toBeCloseTo(1, 5);
    expect(others).toEqual([Number.NaN, Number.POSITIVE_INFINITY, 5, 0]);
    expect([...(await maxAbs(tensors))]).toEqual([
      Math.fround(3e38),
      Number.NaN,
      Number.POSITIVE_INFINITY,
      4,
      0,
    ]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(tensors);
  });

  it('are empty for an empty list', async () => {
    expect([...(await gradNorms([]))]).toEqual([]);
    expect(totalNorm([])).toBe(0);
  });

  it.each([[[1, 1]], [[13, 1]], [[17, 241]], [[257, 255]], [[2048, 1024]], [[2049, 1027]]])(
    'are accurate for tensors of any size, %j',
    async (shape) => {
      const data = Float32Array.from(
        { length: shape[0] * shape[1] },
        (_, i) => ((i * 7919) % 1000) / 1000 - 0.3,
      );
      const x = tf.tensor(data, shape);
      const [norm] = await gradNorms([x]);
      const exact = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));
      expect(Math.abs(norm - exact) / exact).toBeLessThan(1e-6);
      x.dispose();
    },
  );
});

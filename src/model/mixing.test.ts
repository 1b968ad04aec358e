/** @file Adaptive mixing: gradients and values against plain loops. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, randomize } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { AdaptiveMixing } from './mixing.js';

const rng = new Rng(1);
const [B, Q, G, D, P, O] = [1, 2, 2, 3, 2, 4];
const dim = G * D;
const x = normals([B * Q * G, P, D], rng);
const query = normals([B, Q, dim], rng);

function makeModule(): AdaptiveMixing {
  const module = new AdaptiveMixing(dim, P, O, G);
  randomize(module, new Rng(3));
  return module;
}

/** (rows − mean)/√(variance + 1e-5), then ReLU. */
function normalize(rows: number[][]): number[][] {
  const all = rows.flat();
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const variance = all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length;
  return rows.map((row) => row.map((value) => Math.max(0, (value - mean) / Math.sqrt(variance + 1e-5))));
}

const product = (a: number[][], b: number[][]) =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));

/** Cuts numbers into rows of a width. */
const rowsOf = (numbers: ArrayLike<number>, width: number) =>
  Array.from({ length: numbers.length / width }, (_, i) =>
    Array.from({ length: width }, (_, j) => numbers[i * width + j]),
  );

describe('AdaptiveMixing', () => {
  it('mixes channels, then points, by matrices made of the query', () => {
    const module = makeModule();
    const [generatorWeight, generatorBias] = module.parameter_generator
      .parameters()
      .map((parameter) => parameter.value.dataSync());
    const [outWeight, outBias] = module.out_proj.parameters().map((parameter) => parameter.value.dataSync());
    const y = tf.tidy(() => module.forward(tf.tensor(x.data, x.shape), tf.tensor(query.data, query.shape)));
    expect(y.shape).toEqual([B, Q, dim]);
    const actual = y.dataSync();
    for (let q = 0; q < B * Q; q++) {
      const features = rowsOf(query.data, dim)[q];
      const generated = rowsOf(generatorWeight, dim).map(
        (row, i) => row.reduce((sum, weight, k) => sum + weight * features[k], 0) + generatorBias[i],
      );
      const flat: number[] = [];
      for (let g = 0; g < G; g++) {
        const mine = generated.slice(g * (D * D + P * O), (g + 1) * (D * D + P * O));
        const points = rowsOf(x.data.subarray((q * G + g) * P * D, (q * G + g + 1) * P * D), D);
        const byChannel = normalize(product(points, rowsOf(mine.slice(0, D * D), D)));
        const byPoint = normalize(product(rowsOf(mine.slice(D * D), P), byChannel));
        flat.push(...byPoint.flat());
      }
      const projected = rowsOf(outWeight, O * dim).map(
        (row, i) => row.reduce((sum, weight, k) => sum + weight * flat[k], 0) + outBias[i],
      );
      for (let i = 0; i < dim; i++) expect(actual[q * dim + i]).toBeCloseTo(features[i] + projected[i], 4);
    }
    y.dispose();
    module.dispose();
  });

  it('has the right gradients for samples, queries and all weights', () => {
    const module = makeModule();
    // Small steps: two ReLUs with many kinks stand behind every input.
    expectGradients((samples, queries) => module.forward(samples, queries), [x, query], {
      parameters: module.parameters(),
      step: 5e-4,
      tolerance: 1e-2,
    });
    module.dispose();
  });
});

/** @file Initial queries and the position embedding. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { decodeBoxes } from './boxes.js';
import { initialQueries, positionEmbedding } from './queries.js';

describe('initialQueries', () => {
  it('start with the whole image of each clip', () => {
    const boxes = tf.tidy(() => {
      const whwh = tf.tensor2d([
        [352, 256, 352, 256],
        [100, 300, 100, 300],
      ]);
      return decodeBoxes(initialQueries(whwh, tf.ones([2, 8]), tf.ones([2, 8])).xyzr);
    });
    expect(boxes.shape).toEqual([2, 2, 4]);
    const expected = [0, 0, 352, 256, 0, 0, 352, 256, 0, 0, 100, 300, 0, 0, 100, 300];
    for (const [i, value] of boxes.dataSync().entries()) expect(value).toBeCloseTo(expected[i], 3);
    boxes.dispose();
  });

  it('have the right gradients for both embeddings, summed over the clips', () => {
    const rng = new Rng(1);
    const whwh = values([3, 4], [64, 32, 64, 32, 50, 50, 50, 50, 20, 90, 20, 90]);
    expectGradients(
      (spatial, temporal) => {
        const queries = initialQueries(tf.tensor(whwh.data, whwh.shape), spatial, temporal);
        return [queries.spatial, queries.temporal];
      },
      [normals([2, 8], rng), normals([2, 8], rng)],
    );
  });
});

describe('positionEmbedding', () => {
  it('has sine and cosine side by side for each frequency of each coordinate', () => {
    const [x, y, z, r] = [320, 180, 7.5, -0.5];
    const features = 6;
    const embedding = tf.tidy(() => positionEmbedding(tf.tensor([[[x, y, z, r]]]), features));
    expect(embedding.shape).toEqual([1, 1, 4 * features]);
    const data = embedding.dataSync();
    embedding.dispose();
    for (const [c, coordinate] of [x / 1000, y / 1000, z, r].entries()) {
      for (let i = 0; i < features / 2; i++) {
        const angle = coordinate / 10000 ** ((2 * i) / features);
        expect(data[c * features + 2 * i]).toBeCloseTo(Math.sin(angle), 5);
        expect(data[c * features + 2 * i + 1]).toBeCloseTo(Math.cos(angle), 5);
      }
    }
  });
});

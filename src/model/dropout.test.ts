/** @file Drop path: its masks, what they do to a block and to the backbone. */
import { describe, expect, it } from 'vitest';
import { normals, randomize, type Values, values } from '../../test/support/finite_difference.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { tf } from '../engine/tfjs.js';
import { initializeParameters } from '../nn/module.js';
import { Rng } from '../util/random.js';
import { type ClipRange, dropMask } from './dropout.js';
import { Block, VisionTransformer } from './vit.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

function makeBlock(dropPath: number): Block {
  const block = new Block({
    dim: 6,
    heads: 2,
    mlpRatio: 2,
    qkvBias: true,
    qkScale: null,
    initValues: 0,
    drop: 0,
    attnDrop: 0,
    dropPath,
  });
  randomize(block, new Rng(1));
  return block;
}

describe('dropMask', () => {
  it('draws 0 or 1/(1 − rate), with mean 1, for each sample', () => {
    const rng = new Rng(6);
    const [rate, draws, B] = [0.3, 4000, 2];
    let sum = 0;
    let equal = 0;
    const seen = new Set<number>();
    for (let n = 0; n < draws; n++) {
      const mask = dropMask([B, 1, 1], rate, rng)!;
      expect(mask.shape).toEqual([B, 1, 1]);
      const [a, b] = mask.dataSync();
      mask.dispose();
      for (const value of [a, b]) seen.add(value);
      sum += a + b;
      if (a === b) equal++;
    }
    expect([...seen].sort()).toEqual([0, Math.fround(1 / 0.7)]);
    // The mean of n draws deviates by √(rate/(1 − rate)/n); five of that.
    expect(Math.abs(sum / (B * draws) - 1)).toBeLessThan(5 * Math.sqrt(0.3 / 0.7 / (B * draws)));
    // Samples are independent: equal with probability 0.3² + 0.7².
    expect(Math.abs(equal / draws - 0.58)).toBeLessThan(5 * Math.sqrt((0.58 * 0.42) / draws));
  });

  it('gives clips the masks that they have in the whole batch', () => {
    const draw = (clips?: ClipRange) => {
      const rng = new Rng(4);
      const shapes = (count: number) => [
        [count * 3, 2, 2],
        [count, 1, 1],
        [count, 5],
      ];
      const masks = shapes(clips?.count ?? 5).map((shape) => {
        const mask = dropMask(shape, 0.4, {
          uniform: () => rng.uniform(),
          ...(clips && { clips }),
        })!;
        const data = [...mask.dataSync()];
        mask.dispose();
        return data;
      });
      return { masks, next: rng.uniform() };
    };
    const whole = draw();
    for (const [first, count] of [
      [0, 2],
      [2, 2],
      [4, 1],
      [0, 5],
    ]) {
      const { masks, next } = draw({ first, count, batchSize: 5 });
      for (const [i, mask] of masks.entries()) {
        const size = whole.masks[i].length / 5;
        expect(mask).toEqual(whole.masks[i].slice(first * size, (first + count) * size));
      }
      expect(next).toBe(whole.next);
    }
  });

  it('drops nothing at rate 0 or without a generator', () => {
    expect(dropMask([2], 0, new Rng(1))).toBeUndefined();
    expect(dropMask([2], 0.5, undefined)).toBeUndefined();
  });
});

describe('drop path', () => {
  it('grows linearly over the blocks', () => {
    const rates = (depth: number) =>
      new VisionTransformer(tinyConfig({ 'ViT.DROP_PATH_RATE': 0.2, 'ViT.DEPTH': depth })).blocks.map(
        (block) => block.options.dropPath,
      );
    expect(rates(5)).toEqual([0, 0.05, 0.1, 0.15, 0.2].map((rate) => expect.closeTo(rate, 12)));
    expect(rates(1)).toEqual([0]);
  });

  it('has one mask for each branch, with one element per sample', () => {
    const block = makeBlock(0.5);
    const { attentionPath, mlpPath, ...others } = block.drawMasks([64, 3, 6], new Rng(11));
    expect([attentionPath!.shape, mlpPath!.shape]).toEqual([
      [64, 1, 1],
      [64, 1, 1],
    ]);
    expect(attentionPath!.dataSync()).not.toEqual(mlpPath!.dataSync());
    expect(Object.values(others).every((mask) => mask === undefined)).toBe(true);
    expect(
      Object.values(block.train(false).drawMasks([64, 3, 6], new Rng(11))).every((m) => m === undefined),
    ).toBe(true);
    tf.dispose([attentionPath!, mlpPath!]);
    block.dispose();
  });

  it('skips a branch of a sample, or scales it', () => {
    const block = makeBlock(0.5);
    const x = normals([2, 3, 6], new Rng(7));
    const forward = (attention: number[], mlp: number[]) => {
      const y = tf.tidy(() =>
        block.forward(tensor(x), {
          attentionPath: tf.tensor(attention, [2, 1, 1]),
          mlpPath: tf.tensor(mlp, [2, 1, 1]),
        }),
      );
      const data = y.dataSync() as Float32Array;
      y.dispose();
      return data;
    };
    expect(forward([0, 0], [0, 0])).toEqual(x.data);
    const whole = forward([1, 1], [1, 1]);
    const second = forward([0, 1], [0, 1]);
    expect(second.slice(0, 18)).toEqual(x.data.slice(0, 18));
    expect(second.slice(18)).toEqual(whole.slice(18));
    const [one, two] = [forward([0, 0], [1, 1]), forward([0, 0], [2, 2])];
    for (const [i, value] of two.entries()) {
      expect(value - x.data[i]).toBeCloseTo(2 * (one[i] - x.data[i]), 4);
    }
    block.dispose();
  });

  it('follows the seed, differs from sample to sample, and is off in evaluation', () => {
    const model = new VisionTransformer(tinyConfig({ 'ViT.DROP_PATH_RATE': 0.5 }));
    initializeParameters(model, 3);
    const outputOf = (input: Values, rng?: Rng) => {
      const [y] = tf.tidy(() => model.forward(tensor(input), rng));
      const data = y.dataSync();
      y.dispose();
      return data;
    };
    const one = normals([1, 4, 32, 32, 3], new Rng(8));
    // Twelve times the same clip: what differs comes from the masks.
    const video = values([12, 4, 32, 32, 3], Array.from({ length: 12 }, () => Array.from(one.data)).flat());
    /** How many different outputs there are, but for rounding, which may depend on the place in the batch. */
    const outcomes = (data: ArrayLike<number>) => {
      const size = data.length / 12;
      const distinct: number[][] = [];
      for (let b = 0; b < 12; b++) {
        const sample = Array.from({ length: size }, (_, i) => data[b * size + i]);
        const known = distinct.some((other) => other.every((value, i) => Math.abs(value - sample[i]) < 1e-4));
        if (!known) distinct.push(sample);
      }
      return distinct.length;
    };
    const first = outputOf(video, new Rng(1));
    expect(outputOf(video, new Rng(1))).toEqual(first);
    expect(outputOf(video, new Rng(2))).not.toEqual(first);
    // Two masks in the last block: four outcomes.
    expect(outcomes(first)).toBeGreaterThan(1);
    expect(outcomes(first)).toBeLessThanOrEqual(4);
    model.train(false);
    const calm = outputOf(video, new Rng(1));
    expect(outputOf(video)).toEqual(calm);
    expect(outcomes(calm)).toBe(1);
    model.dispose();
  });

  it('has the output without it as the mean over many draws', () => {
    // Of the MLP's branch: what follows the other branch is not linear in its mask.
    const block = makeBlock(0.4);
    const x = normals([1, 2, 6], new Rng(9), 0.5);
    const rng = new Rng(10);
    const draws = 300;
    const { mean, whole } = tf.tidy(() => {
      const input = tensor(x);
      let sum: tf.Tensor = tf.zerosLike(input);
      for (let n = 0; n < draws; n++) {
        const { mlpPath } = block.drawMasks(x.shape, rng);
        sum = sum.add(block.forward(input, { mlpPath }));
      }
      return { mean: sum.div(draws), whole: block.forward(input) };
    });
    const [actual, expected] = [mean.dataSync(), whole.dataSync()];
    const spread = Math.sqrt(0.4 / 0.6 / draws);
    const attended = tf.tidy(() => block.forward(tensor(x), { mlpPath: tf.zeros([1, 1, 1]) }));
    const without = attended.dataSync();
    for (const [i, value] of actual.entries()) {
      const branch = Math.abs(expected[i] - without[i]);
      expect(Math.abs(value - expected[i])).toBeLessThan(5 * spread * branch + 1e-4);
    }
    tf.dispose([mean, whole, attended]);
    block.dispose();
  });
});

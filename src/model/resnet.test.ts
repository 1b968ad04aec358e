/** @file ResNet backbones: shapes of their maps, gradients of what PyTorch's reference numbers leave out, and both modes. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, randomize, type Values } from '../../test/support/finite_difference.js';
import { TINY_SLOWFAST, TINY_SLOWONLY, tinyConfig } from '../../test/support/tiny_config.js';
import { tf } from '../engine/tfjs.js';
import type { BatchStatistics, NormScope } from '../nn/batch_norm.js';
import { initializeParameters, type Module } from '../nn/module.js';
import { Rng } from '../util/random.js';
import { backboneKind } from './backbones.js';
import { Detector } from './detector.js';
import { type BlockShape, ResBlock, type TransformName } from './resnet/block.js';
import { Nonlocal } from './resnet/nonlocal.js';

const drop: NormScope = { take: ({ mean, variance }) => tf.dispose([mean, variance]) };
const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

function prepared<M extends Module>(module: M, scale = 0.5): M {
  initializeParameters(module, 2);
  randomize(module, new Rng(3), scale);
  return module;
}

describe('a backbone', () => {
  it.each([
    ['SlowOnly', TINY_SLOWONLY, [16, 32, 64, 128], 4],
    ['SlowFast', TINY_SLOWFAST, [24, 48, 96, 192], 2],
  ])('has maps at strides 4, 8, 16 and 32, rounded up: %s', (_, changes, channels, frames) => {
    const cfg = tinyConfig(changes);
    const backbone = backboneKind(cfg).make(cfg);
    initializeParameters(backbone, 1);
    expect(backbone.channels).toEqual(channels);
    const maps = tf.tidy(() =>
      backbone.forward(tensor(normals([2, 4, 37, 50, 3], new Rng(1))), undefined, drop),
    );
    const sizes = [4, 8, 16, 32].map((stride) => [Math.ceil(37 / stride), Math.ceil(50 / stride)]);
    expect(maps.map(({ shape }) => shape)).toEqual(sizes.map((size, i) => [2, frames, ...size, channels[i]]));
    for (const map of maps) expect(map.dataSync().every(Number.isFinite)).toBe(true);
    tf.dispose(maps);
    backbone.dispose();
  });

  it('hands the statistics of all its norms to the scope, and none in evaluation mode', () => {
    const cfg = tinyConfig(TINY_SLOWFAST);
    const model = new Detector(cfg);
    initializeParameters(model, 1);
    const counts = [true, false].map((training) => {
      model.train(training);
      const found: BatchStatistics[] = [];
      const video = normals([1, 4, 32, 32, 3], new Rng(1));
      tf.tidy(() =>
        model.features(tensor(video), undefined, { take: (statistics) => found.push(statistics) }),
      );
      for (const statistics of found) drop.take(statistics);
      return new Set(found.map(({ norm }) => norm)).size;
    });
    const norms = [...model.namedState()].filter(([name]) => name.endsWith('num_batches_tracked')).length;
    expect(counts).toEqual([norms, 0]);
    model.dispose();
  });
});

describe('a residual block', () => {
  const plain: BlockShape = {
    ...{ inChannels: 4, outChannels: 8, innerChannels: 4, temporalKernel: 3 },
    ...{ stride: 1, dilation: 1, groups: 1, strideIn1x1: false },
  };

  it.each<[string, Partial<BlockShape>, TransformName]>([
    ['two groups', { groups: 2 }, 'bottleneck_transform'],
    ['dilation 2', { dilation: 2 }, 'bottleneck_transform'],
    ['two groups, dilation 2 and stride 2', { groups: 2, dilation: 2, stride: 2 }, 'bottleneck_transform'],
    ['the stride in the first convolution', { stride: 2, strideIn1x1: true }, 'bottleneck_transform'],
    ['two convolutions with dilation 2', { dilation: 2 }, 'basic_transform'],
    ['two convolutions with stride 2', { stride: 2 }, 'basic_transform'],
  ])('has the right gradients: %s', (_, changes, transform) => {
    // Batch statistics would take away the gradients of biases before them.
    const block = prepared(new ResBlock({ ...plain, ...changes }, transform, { frozen: true }), 0.03);
    // Far from the kinks of the ReLUs, which the quotients of differences do not see.
    for (const [name, parameter] of block.namedParameters())
      if (name.includes('bn'))
        parameter.set(new Float32Array(parameter.size).fill(name.endsWith('bias') ? 6 : 1));
    const x = normals([2, 3, 5, 4, 4], new Rng(5));
    const half = (extent: number) => Math.ceil(extent / (changes.stride ?? 1));
    const y = tf.tidy(() => block.forward(tensor(x), drop));
    expect(y.shape).toEqual([2, 3, half(5), half(4), 8]);
    y.dispose();
    expectGradients((input) => block.forward(input, drop), [x], {
      parameters: block.parameters(),
      // The weights are small, and so are some derivatives beside the rounding of values near 12.
      step: 0.05,
      tolerance: 0.1,
    });
    block.dispose();
  });
});

describe('a non-local block', () => {
  it.each(['softmax', 'dot_product'] as const)('sees only its own run of frames: %s', (instantiation) => {
    const shape = { channels: 4, innerChannels: 2, pool: [1, 2, 2] as const, groups: 2, instantiation };
    const block = prepared(new Nonlocal(shape, { frozen: false })).train(false);
    const x = normals([1, 4, 4, 4, 4], new Rng(7));
    const outputOf = (data: Float32Array) =>
      tf.tidy(() => block.forward(tf.tensor(data, x.shape)).dataSync().slice() as Float32Array);
    const changed = x.data.slice();
    changed[0] += 1;
    const [before, after] = [outputOf(x.data), outputOf(changed)];
    const half = x.data.length / 2;
    expect(after.subarray(0, half)).not.toEqual(before.subarray(0, half));
    expect(after.subarray(half)).toEqual(before.subarray(half));
    block.dispose();
  });

  it.each(['softmax', 'dot_product'] as const)('has the right gradients: %s', (instantiation) => {
    const shape = { channels: 4, innerChannels: 2, pool: [1, 1, 1] as const, groups: 1, instantiation };
    const block = prepared(new Nonlocal(shape, { frozen: true }));
    const x = normals([2, 2, 2, 3, 4], new Rng(8));
    // A bias of the keys moves all scores of a query alike, so a softmax does not see it.
    const named = [...block.namedParameters()].filter(
      ([name]) => instantiation !== 'softmax' || name !== 'conv_phi.bias',
    );
    const parameters = named.map(([, parameter]) => parameter);
    expectGradients((input) => block.forward(input), [x], { parameters, tolerance: 3e-3 });
    block.dispose();
  });
});

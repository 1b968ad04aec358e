/** @file Whole ResNet backbones against PyTorch: small ones with gradients, and those of the official configurations. */
import { describe, expect, it } from 'vitest';
import { slowFrames } from '../../src/data/clip/pathways.js';
import { tf } from '../../src/engine/tfjs.js';
import type { Backbone } from '../../src/model/backbone.js';
import { backboneKind } from '../../src/model/backbones.js';
import type { BatchStatistics } from '../../src/nn/batch_norm.js';
import { StateBuffer } from '../../src/nn/module.js';
import { backward } from '../../src/nn/tape.js';
import { FORWARD, GRADIENT, goldenExists } from './golden.js';
import {
  expectSample,
  hashed,
  loadHashed,
  mapOf,
  numbersOf,
  officialConfig,
  resnetJson,
  resnetTensors,
  sizeOf,
  track,
} from './resnet.js';

// biome-ignore lint/suspicious/noExplicitAny: the structure is that of the file
type Settings = any;

/** Makes a backbone with the weights of a case. Norms are frozen only by evaluation mode. */
function backboneOf(settings: Settings): Backbone {
  const { T } = settings.batch;
  const cfg = officialConfig(settings.base_config, {
    ...settings.config_overrides,
    'MODEL.BACKBONE.FROZEN_BN': false,
    'DATA.NUM_FRAMES': T,
  });
  if (settings.slow_index) expect(slowFrames(T, cfg.SLOWFAST.ALPHA)).toEqual(settings.slow_index);
  const backbone = backboneKind(cfg).make(cfg);
  loadHashed(backbone, settings.weights);
  return backbone;
}

function videoOf({ hash: { seed, 'in.video': video } }: Settings): tf.Tensor {
  return mapOf({
    shape: video.shape,
    data: hashed(video.name, seed, { size: sizeOf(video.shape), scale: video.scale }),
  });
}

const small = goldenExists('resnet/resnet_backbones.json');

describe.skipIf(!small)('small backbones', () => {
  const { cases } = small ? resnetJson('resnet_backbones.json') : { cases: {} };
  const tensors = small ? resnetTensors('resnet_backbones.safetensors') : new Map();

  it.each(Object.entries<Settings>(cases))('%s', (name, settings) => {
    const backbone = backboneOf(settings).train(settings.training);
    const { seed, 'gout.yK': gout } = settings.hash;
    const compare = (key: string, values: ArrayLike<number>, tolerance: number) => {
      const stored = tensors.get(`${name}/${key}`) ?? tensors.get(`${name}/sample.${key}`);
      if (!stored) return expect.fail(`${key} is not in the file`);
      expectSample(`${name}/${key}`, values, { stored, row: settings.stats[key], tolerance });
    };
    const video = videoOf(settings);
    const named = [...backbone.namedParameters()];
    const found: BatchStatistics[] = [];
    const outputs: Float32Array[] = [];
    const { value, grads } = backward(() => {
      const maps = backbone.forward(video, undefined, { take: (statistics) => found.push(statistics) });
      const terms = maps.map((map, k) => {
        outputs.push(numbersOf(map));
        const [B, t, h, w, C] = map.shape;
        const scaled = { size: map.size, scale: gout.scale };
        const slope = hashed(gout.name.replace('yK', `y${k}`), seed, scaled);
        return map.mul(mapOf({ shape: [B, C, t, h, w], data: slope })).sum();
      });
      return tf.addN(terms) as tf.Scalar;
    }, [video, ...named.map(([, parameter]) => parameter.value)]);
    for (const [k, output] of outputs.entries()) compare(`out.y${k}`, output, FORWARD);
    compare('gin.video', numbersOf(grads[0]!), GRADIENT);
    for (const [i, [key]] of named.entries())
      if (!settings.true_gradient_is_zero.includes(key))
        compare(`gw.${key}`, grads[i + 1]!.dataSync(), GRADIENT);
    track(found);
    const buffers = [...backbone.namedState()].filter(([, entry]) => entry instanceof StateBuffer);
    expect(found.length).toBe(settings.training ? buffers.length / 3 : 0);
    for (const [key, entry] of buffers as [string, StateBuffer][]) {
      const after = tensors.get(`${name}/after.${key}`) ?? tensors.get(`${name}/sample.after.${key}`);
      if (!after) continue;
      if (entry.dtype === 'int64') expect(entry.data, key).toEqual(after.data);
      else compare(`after.${key}`, entry.data, FORWARD);
    }
    tf.dispose([video, value, ...grads.map((grad) => grad!)]);
    backbone.dispose();
  });
});

const full = goldenExists('resnet/resnet_full.json');

describe.skipIf(!full)('official backbones', () => {
  const { cases } = full ? resnetJson('resnet_full.json') : { cases: {} };
  const tensors = full ? resnetTensors('resnet_full.safetensors') : new Map();

  it.each(Object.entries<Settings>(cases))('%s', (name, settings) => {
    const backbone = backboneOf(settings);
    let sum = 0;
    for (const [, entry] of backbone.namedState()) {
      const values = entry instanceof StateBuffer ? entry.data : (entry.value.dataSync() as Float32Array);
      for (const value of values) sum += value;
    }
    expect(sum / settings.weights.sum_of_everything, 'sum of all weights').toBeCloseTo(1, 11);
    const compare = (key: string, values: ArrayLike<number>) => {
      const stored = tensors.get(`${name}/sample.${key}`);
      expectSample(`${name}/${key}`, values, { stored, row: settings.stats[key], tolerance: FORWARD });
    };
    const video = videoOf(settings);
    for (const mode of ['eval', 'train']) {
      const found: BatchStatistics[] = [];
      backbone.train(mode === 'train');
      const maps = tf.tidy(() =>
        backbone.forward(video, undefined, { take: (statistics) => found.push(statistics) }),
      );
      for (const [k, map] of maps.entries()) compare(`${mode}.y${k}`, numbersOf(map));
      track(found);
      tf.dispose(maps);
    }
    const state = new Map(backbone.namedState());
    for (const key of Object.keys(settings.stats).filter((key) => key.startsWith('after.')))
      compare(key, (state.get(key.slice('after.'.length)) as StateBuffer).data);
    video.dispose();
    backbone.dispose();
  });
});

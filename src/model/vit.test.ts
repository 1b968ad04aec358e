/** @file The backbone: gradients of its blocks, activation checkpointing, position table, sizes. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, randomize, type Values } from '../../test/support/finite_difference.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { tf } from '../engine/tfjs.js';
import { initializeParameters } from '../nn/module.js';
import { backward } from '../nn/tape.js';
import { Rng } from '../util/random.js';
import { resizePositions, sinusoidTable } from './position.js';
import { Block, type BlockOptions, PatchEmbed, VisionTransformer } from './vit.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

const plain: BlockOptions = {
  dim: 6,
  heads: 2,
  mlpRatio: 2,
  qkvBias: true,
  qkScale: null,
  initValues: 0,
  drop: 0,
  attnDrop: 0,
  dropPath: 0,
};

function makeBlock(changes: Partial<BlockOptions> = {}): Block {
  const block = new Block({ ...plain, ...changes });
  randomize(block, new Rng(1));
  return block;
}

/** What a model makes of a video, as numbers. */
function outputOf(model: VisionTransformer, video: Values, rng?: Rng): Float32Array {
  const [y] = tf.tidy(() => model.forward(tensor(video), rng));
  const data = y.dataSync() as Float32Array;
  y.dispose();
  return data;
}

function makeBackbone(changes: Readonly<Record<string, unknown>> = {}): VisionTransformer {
  const model = new VisionTransformer(tinyConfig(changes));
  initializeParameters(model, 3);
  return model;
}

describe('PatchEmbed', () => {
  it('is a convolution whose stride is its kernel, with the right gradients', () => {
    const rng = new Rng(2);
    const [B, T, H, W, channels, features] = [1, 4, 4, 6, 2, 3];
    const [tubelet, patch] = [2, 2];
    const module = new PatchEmbed(channels, features, tubelet, patch);
    randomize(module, rng);
    const video = normals([B, T, H, W, channels], rng);
    const y = tf.tidy(() => module.forward(tensor(video)));
    expect(y.shape).toEqual([B, T / tubelet, H / patch, W / patch, features]);
    const [weight, bias] = module.parameters().map((parameter) => parameter.value.dataSync());
    for (const [n, value] of y.dataSync().entries()) {
      const f = n % features;
      const w = Math.floor(n / features) % (W / patch);
      const h = Math.floor(n / (features * (W / patch))) % (H / patch);
      const t = Math.floor(n / (features * (W / patch) * (H / patch)));
      let sum = bias[f];
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < tubelet; i++) {
          for (let j = 0; j < patch; j++) {
            for (let k = 0; k < patch; k++) {
              const pixel = ((t * tubelet + i) * H + h * patch + j) * W + w * patch + k;
              sum +=
                video.data[pixel * channels + c] *
                weight[(((f * channels + c) * tubelet + i) * patch + j) * patch + k];
            }
          }
        }
      }
      expect(value).toBeCloseTo(sum, 4);
    }
    y.dispose();
    expectGradients((x) => module.forward(x), [video], { parameters: module.parameters() });
    module.dispose();
  });
});

describe('Block', () => {
  const x = normals([2, 3, 6], new Rng(4), 0.5);

  it.each<[string, Partial<BlockOptions>]>([
    ['with layer scale', { initValues: 0.1 }],
    ['without biases of queries and values', { qkvBias: false }],
    ['with a scale of its own', { qkScale: 0.3 }],
  ])('has the right gradients %s', (_, changes) => {
    const block = makeBlock(changes);
    expectGradients((input) => block.forward(input), [x], { parameters: block.parameters() });
    block.dispose();
  });

  it('has the right gradients under all its masks', () => {
    const block = makeBlock({ drop: 0.3, attnDrop: 0.3, dropPath: 0.5, initValues: 1 });
    const masks = block.drawMasks(x.shape, new Rng(5));
    expect(Object.values(masks).every((mask) => mask instanceof tf.Tensor)).toBe(true);
    expectGradients((input) => block.forward(input, masks), [x], { parameters: block.parameters() });
    block.dispose();
    tf.dispose(Object.values(masks));
  });

  it('names the parameters that its options create', () => {
    const names = (changes: Partial<BlockOptions>) =>
      Array.from(new Block({ ...plain, ...changes }).namedParameters(), ([name]) => name);
    const rest = names({ qkvBias: false });
    expect(rest).not.toContain('attn.q_bias');
    expect(names({})).toEqual([...rest.slice(0, 2), 'attn.q_bias', 'attn.v_bias', ...rest.slice(2)]);
    expect(names({ qkvBias: false, initValues: 0.1 })).toEqual(['gamma_1', 'gamma_2', ...rest]);
  });

  it('starts layer scale at INIT_VALUES', () => {
    const block = new Block({ ...plain, initValues: 0.125 });
    initializeParameters(block, 1);
    for (const gamma of [block.gamma_1!, block.gamma_2!]) {
      expect(new Set(gamma.value.dataSync())).toEqual(new Set([0.125]));
    }
    block.dispose();
  });
});

describe('VisionTransformer', () => {
  const video = normals([2, 4, 32, 64, 3], new Rng(11));

  /** The output's weighted sum and the gradients of all parameters. */
  function gradientsOf(model: VisionTransformer, input: Values, seed: number) {
    const x = tensor(input);
    const parameters = model.parameters().map((parameter) => parameter.value);
    const { value, grads } = backward(() => {
      const [y] = model.forward(x, new Rng(seed));
      return y.mul(tensor(normals(y.shape, new Rng(12)))).sum() as tf.Scalar;
    }, parameters);
    const result = [value, ...(grads as tf.Tensor[])].map((t) => Array.from(t.dataSync()));
    tf.dispose([x, value, ...(grads as tf.Tensor[])]);
    return result;
  }

  it('computes the same values and gradients with USE_CHECKPOINT and all masks', () => {
    const changes = {
      'ViT.DROP_PATH_RATE': 0.5,
      'ViT.DROP_RATE': 0.2,
      'ViT.ATTN_DROP_RATE': 0.2,
      'ViT.INIT_VALUES': 0.5,
      'ViT.USE_LEARNABLE_POS_EMB': true,
    };
    const [kept, recomputed] = [false, true].map((flag) =>
      makeBackbone({ ...changes, 'ViT.USE_CHECKPOINT': flag }),
    );
    for (const model of [kept, recomputed]) {
      // A zero position table hides nothing here, but nonzero is the general case.
      model.pos_embed!.set(normals([...model.pos_embed!.shape], new Rng(13)).data);
    }
    const expected = gradientsOf(kept, video, 5);
    expect(expected.length).toBe(1 + kept.parameters().length);
    expect(gradientsOf(recomputed, video, 5)).toEqual(expected);
    expect(gradientsOf(recomputed, video, 6)).not.toEqual(expected);
    kept.dispose();
    recomputed.dispose();
  });

  it('uses no growing memory', () => {
    for (const flag of [false, true]) {
      const model = makeBackbone({ 'ViT.USE_CHECKPOINT': flag, 'ViT.DROP_PATH_RATE': 0.5 });
      gradientsOf(model, video, 1);
      const before = tf.memory();
      for (let n = 0; n < 3; n++) gradientsOf(model, video, n);
      expect(tf.memory().numTensors).toBe(before.numTensors);
      expect(tf.memory().numBytes).toBe(before.numBytes);
      model.dispose();
    }
  });

  it('trains a position table, and gives it the gradient of what is added to the tokens', () => {
    const learned = makeBackbone({ 'ViT.USE_LEARNABLE_POS_EMB': true });
    expect(learned.pos_embed!.shape).toEqual([1, 2 * 2 * 2, 8]);
    expect(learned.pos_embed!.value.dataSync().every((x) => x === 0)).toBe(true);
    for (const shape of [
      [1, 4, 32, 32, 3],
      [1, 4, 32, 64, 3],
    ]) {
      expectGradients((x) => learned.forward(x), [normals(shape, new Rng(14), 0.5)], {
        parameters: [learned.pos_embed!],
        step: 2e-3,
        tolerance: 5e-3,
      });
    }
    learned.dispose();
  });

  it('equals the fixed table if the learned one holds its sines', () => {
    const [fixed, learned] = [makeBackbone(), makeBackbone({ 'ViT.USE_LEARNABLE_POS_EMB': true })];
    learned.pos_embed!.set(sinusoidTable(8, 8));
    expect(outputOf(learned, video)).toEqual(outputOf(fixed, video));
    fixed.dispose();
    learned.dispose();
  });

  it('interpolates by the grid, not by the number of tokens', () => {
    // 16×64 pixels are 1×4 tokens per time step, as many as the table's 2×2.
    const wide = normals([1, 4, 16, 64, 3], new Rng(15));
    const model = makeBackbone();
    const withTable = (positions: (table: tf.Tensor) => tf.Tensor) => {
      const y = tf.tidy(() => {
        const table = tf.tensor(sinusoidTable(8, 8), [8, 8]);
        const tokens = model.patch_embed.forward(tensor(wide)).reshape([1, 8, 8]).add(positions(table));
        return model.norm.forward(model.blocks.reduce((x, block) => block.forward(x), tokens));
      });
      const data = y.dataSync();
      y.dispose();
      return data;
    };
    const actual = outputOf(model, wide);
    expect(actual).toEqual(withTable((table) => resizePositions(table, 2, 1, 4)));
    expect(actual).not.toEqual(withTable((table) => table));
    model.dispose();
  });

  it.each([
    [2, 2],
    [8, 2],
    [6, 3],
    [8, 4],
  ])('accepts %i frames in tubelets of %i', (frames, tubelet) => {
    const model = makeBackbone({ 'DATA.NUM_FRAMES': frames, 'ViT.TUBELET_SIZE': tubelet });
    const clip = normals([1, frames, 32, 48, 3], new Rng(16));
    const [y] = tf.tidy(() => model.forward(tensor(clip)));
    expect(y.shape).toEqual([1, frames / tubelet, 2, 3, 8]);
    expect(y.dataSync().every(Number.isFinite)).toBe(true);
    y.dispose();
    model.dispose();
  });

  it('has the parameters of ViT-L without allocating them', () => {
    const before = tf.memory().numTensors;
    const model = new VisionTransformer(
      tinyConfig({
        'DATA.NUM_FRAMES': 16,
        'ViT.EMBED_DIM': 1024,
        'ViT.DEPTH': 24,
        'ViT.NUM_HEADS': 16,
        'ViT.MLP_RATIO': 4,
        'ViT.PRETRAIN_IMG_SIZE': 224,
        'ViT.USE_LEARNABLE_POS_EMB': true,
      }),
    );
    const shapes = new Map(Array.from(model.namedParameters(), ([name, { shape }]) => [name, shape]));
    expect(shapes.get('pos_embed')).toEqual([1, 1568, 1024]);
    expect(shapes.get('patch_embed.proj.weight')).toEqual([1024, 3, 2, 16, 16]);
    expect(shapes.get('blocks.23.attn.qkv.weight')).toEqual([3072, 1024]);
    expect(shapes.get('blocks.23.attn.v_bias')).toEqual([1024]);
    expect(shapes.get('blocks.23.mlp.fc1.weight')).toEqual([4096, 1024]);
    expect(shapes.get('blocks.23.mlp.fc2.weight')).toEqual([1024, 4096]);
    expect(shapes.has('blocks.24.norm1.weight')).toBe(false);
    expect([...shapes.keys()].slice(-2)).toEqual(['norm.weight', 'norm.bias']);
    const total = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
    // Per block 12·1024² weights and 11·1024 biases and norms; embedding, table and last norm beside them.
    const block = 12 * 1024 ** 2 + (2 + 1 + 4 + 1 + 4) * 1024;
    expect(total).toBe(24 * block + (1536 + 1) * 1024 + 1568 * 1024 + 2 * 1024);
    expect(tf.memory().numTensors).toBe(before);
  });
});

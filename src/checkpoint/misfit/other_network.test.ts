/** @file Tests of what is said of weights of another network. */
import { describe, expect, test } from 'vitest';
import { errorOf } from '../../../test/support/checkpoint_files.js';
import { modelTensors, only, type StateDict, smallTensor } from '../../../test/support/model_tensors.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import type { HostTensor } from '../../formats/host_tensor.js';
import { loadWeights } from '../load_weights.js';

const model = modelTensors();
const backbone = only(model, /^backbone\./);

const failure = (state: ReadonlyMap<string, HostTensor>, shapes: StateDict = model) =>
  errorOf(() =>
    loadWeights({ path: 'f.pth', state }, shapes, { noHead: false, coverage: 'whole groups' }, () =>
      expect.fail('nothing may be set'),
    ),
  ).message;

/** The shapes of a ViT of a usual size, without data. */
function vit(dim: number, depth: number, patches = [2, 16, 16]): Map<string, HostTensor> {
  const bytes = () => expect.fail('nothing may be read');
  const tensor = (...shape: number[]): HostTensor => ({ dtype: 'float32', shape, bytes });
  const file = new Map([['patch_embed.proj.weight', tensor(dim, 3, ...patches)]]);
  for (let i = 0; i < depth; i++) {
    file.set(`blocks.${i}.norm1.weight`, tensor(dim));
    file.set(`blocks.${i}.mlp.fc1.weight`, tensor(4 * dim, dim));
  }
  return file;
}

describe('weights of another network', () => {
  test('of an image model are called so, because of the 2-D patch embedding', () => {
    const image = new Map(backbone).set('backbone.patch_embed.proj.weight', smallTensor(8, 3, 16, 16));
    expect(failure(image)).toBe(
      'f.pth: holds weights of an image model: its patch embedding is a 2-D kernel [8,3,16,16], and this model, which sees several frames ' +
        "at once, has the 3-D kernel [8,3,2,16,16]. Use weights that were pre-trained on video, such as VideoMAE's.",
    );
  });

  test('of a ViT of another size are named with its sizes and the settings for it', () => {
    expect(failure(vit(1024, 24), new Map([...vit(768, 12)].map(([n, t]) => [`backbone.${n}`, t])))).toBe(
      'f.pth: holds weights of a ViT-L (24 blocks of 1024 channels, patches of 2 × 16 × 16); this model is a ViT-B (12 blocks of 768 ' +
        'channels, patches of 2 × 16 × 16). Use weights of that size, or set the sizes in the config to those of the file: ' +
        'ViT.EMBED_DIM 1024 ViT.DEPTH 24 ViT.NUM_HEADS 16.',
    );
    expect(failure(vit(1280, 32, [2, 14, 14]))).toMatch(
      /holds weights of a ViT-H .*ViT\.DEPTH 32 ViT\.NUM_HEADS 16 .*ViT\.PATCH_SIZE 14/,
    );
    expect(failure(modelTensors(tinyConfig({ 'ViT.EMBED_DIM': 16, 'ViT.DEPTH': 3 })))).toMatch(
      /a ViT with 3 blocks of 16 channels.* this model is a ViT with 2 blocks of 8 channels.*: ViT\.EMBED_DIM 16 ViT\.DEPTH 3\.$/,
    );
  });

  test.each([
    ['a Swin transformer', 'layers.0.blocks.1.attn.relative_position_bias_table', 'patch_embed.proj.weight'],
    ['an MViT', 'blocks.0.attn.pool_q.weight', 'patch_embed.proj.weight'],
    ['a TimeSformer', 'blocks.0.temporal_attn.qkv.weight', 'patch_embed.proj.weight'],
    ['a SlowFast network', 's1.pathway0_stem.conv.weight', 's2.pathway0_res0.branch1.weight'],
    ['a SlowFast network', 'backbone.slow.res_nl1.0.conv1.weight', 'backbone.slow.conv1.weight'],
    ['a ResNet', 'layer1.0.conv1.weight', 'conv1.weight'],
    ['a ResNet', 'backbone.layer4.2.bn1.weight', 'backbone.conv1.weight'],
    ['a ResNet', 'resnet.encoder.stages.0.layers.0.layer.0.convolution.weight', 'resnet.embedder.weight'],
    ['a Swin transformer', 'features.1.0.attn.qkv.weight', 'features.0.0.weight'],
    ['a TimeSformer', 'timesformer.encoder.layer.0.temporal_dense.weight', 'timesformer.embeddings.weight'],
    ['an I3D', 'Mixed_3b.branch_0.conv3d.weight', 'Conv3d_1a_7x7.conv3d.weight'],
  ])('of %s are called so, with the sizes found', (title, name, kernel) => {
    const file = new Map([
      [name, smallTensor(4)],
      [kernel, smallTensor(4, 3, 2, 2)],
      ...Array.from({ length: 50 }, (_, i) => [`other.${i}.weight`, smallTensor(2)] as const),
    ]);
    const message = failure(file);
    expect(message).toContain(
      `f.pth: holds weights of ${title}, and this model is a ViT: the file has 52 tensors with 152 numbers, and its first kernel is `,
    );
    expect(message).toContain('[4,3,2,2]. Use weights of a ViT that was pre-trained on video');
    expect(message).not.toContain('\n');
  });
});

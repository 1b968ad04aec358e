/** @file Tests of loading weights with the names of other code bases, one synthetic file of each layout. */
import { describe, expect, test } from 'vitest';
import { modelTensors, only } from '../../../test/support/model_tensors.js';
import { elementsOf, float32Tensor, type HostTensor, sizeOf } from '../../formats/host_tensor.js';
import { loadWeights } from '../load_weights.js';
import { nameWeights } from './named_weights.js';

const shapes = only(modelTensors(), /^backbone\./);
const bare = (name: string) => name.replace('backbone.', '');

/** A backbone with other values in every tensor, without `backbone.`. */
const expected = new Map(
  Array.from(shapes, ([name, { shape }], i) => {
    const data = Float32Array.from({ length: sizeOf(shape) }, (_, j) => i + j / 1000);
    return [bare(name), float32Tensor(shape, data)] as const;
  }),
);

const numbers = (tensor: HostTensor) => Float32Array.from(elementsOf(tensor) as Float32Array);
const vector = (...parts: readonly HostTensor[]) => {
  const data = parts.flatMap((part) => [...numbers(part)]);
  return float32Tensor([data.length], Float32Array.from(data));
};
const zeros = (length: number) => float32Tensor([length], new Float32Array(length));
const thirdOf = (tensor: HostTensor, i: number) => {
  const [rows, columns] = tensor.shape;
  const size = (rows / 3) * columns;
  return float32Tensor([rows / 3, columns], numbers(tensor).slice(i * size, (i + 1) * size));
};

type Rename = (name: string) => string;

/** The backbone under other names, and with other attentions. */
function fileOf(rename: Rename, attention: (name: string, block: Attention) => [string, HostTensor][]) {
  const file = new Map<string, HostTensor>();
  for (const [name, tensor] of expected) {
    const place = /^(blocks\.\d+\.attn\.)(qkv\.weight|q_bias|v_bias)$/.exec(name);
    if (place === null) file.set(rename(name), tensor);
    else if (place[2] === 'qkv.weight')
      for (const [other, part] of attention(place[1], attentionAt(place[1]))) file.set(other, part);
  }
  return file;
}

interface Attention {
  readonly qkv: HostTensor;
  readonly q: HostTensor;
  readonly v: HostTensor;
}

const attentionAt = (start: string): Attention => ({
  qkv: expected.get(`${start}qkv.weight`)!,
  q: expected.get(`${start}q_bias`)!,
  v: expected.get(`${start}v_bias`)!,
});

const ours = (start: string, { qkv, q, v }: Attention): [string, HostTensor][] => [
  [`${start}qkv.weight`, qkv],
  [`${start}q_bias`, q],
  [`${start}v_bias`, v],
];
const fused = (keyBias: HostTensor = zeros(8)) =>
  ((start, { qkv, q, v }) => [
    [`${start}qkv.weight`, qkv],
    [`${start}qkv.bias`, vector(q, keyBias, v)],
  ]) satisfies Parameters<typeof fileOf>[1] as Parameters<typeof fileOf>[1];

const words =
  (pairs: readonly (readonly [string | RegExp, string])[]): Rename =>
  (name) =>
    pairs.reduce((text, [from, to]) => text.replace(from, to), name);

const mmaction = words([
  ['patch_embed.proj', 'patch_embed.projection'],
  ['mlp.fc1', 'mlp.layers.0.0'],
  ['mlp.fc2', 'mlp.layers.1'],
]);

const huggingFace = words([
  ['patch_embed.proj', 'embeddings.patch_embeddings.projection'],
  [/^norm\./, 'layernorm.'],
  ['blocks.', 'encoder.layer.'],
  ['attn.proj', 'attention.output.dense'],
  ['mlp.fc1', 'intermediate.dense'],
  ['mlp.fc2', 'output.dense'],
  ['norm1', 'layernorm_before'],
  ['norm2', 'layernorm_after'],
]);

const huggingFaceAttention = (biases: (start: string, block: Attention) => [string, HostTensor][]) =>
  ((start, block) => {
    const theirs = `${start.replace('blocks.', 'encoder.layer.').replace('attn.', 'attention.attention.')}`;
    return [
      ...['query', 'key', 'value'].map((word, i): [string, HostTensor] => [
        `${theirs}${word}.weight`,
        thirdOf(block.qkv, i),
      ]),
      ...biases(theirs, block),
    ];
  }) satisfies Parameters<typeof fileOf>[1];

const mmpretrain = words([
  ['patch_embed.proj', 'patch_embed.projection'],
  ['blocks.', 'layers.'],
  ['norm1', 'ln1'],
  ['norm2', 'ln2'],
  ['mlp.fc1', 'ffn.layers.0.0'],
  ['mlp.fc2', 'ffn.layers.1'],
  [/^norm\./, 'ln1.'],
]);

const clip = words([
  ['patch_embed.proj', 'conv1'],
  ['blocks.', 'transformer.resblocks.'],
  ['norm1', 'ln_1'],
  ['norm2', 'ln_2'],
  ['attn.proj', 'attn.out_proj'],
  ['mlp.fc1', 'mlp.c_fc'],
  ['mlp.fc2', 'mlp.c_proj'],
  [/^norm\./, 'ln_post.'],
]);

const OTHERS = ['head.weight', 'fc_norm.weight', 'cls_head.fc_cls.weight', 'classifier.bias', 'cls_token'];
const file = (rename: Rename, attention: Parameters<typeof fileOf>[1]) =>
  new Map([...fileOf(rename, attention), ...OTHERS.map((name) => [name, zeros(5)] as const)]);
const same: Rename = (name) => name;

const LAYOUTS: Record<string, [title: string, file: Map<string, HostTensor>]> = {
  'VideoMAE V2': ['STMixer, VideoMAE or PySlowFast', file(same, ours)],
  mmaction2: ['OpenMMLab (mmaction2, mmpretrain)', file(mmaction, ours)],
  mmpretrain: [
    'OpenMMLab (mmaction2, mmpretrain)',
    file(mmpretrain, (start, { qkv, q, v }) => [
      [`${start.replace('blocks', 'layers')}qkv.weight`, qkv],
      [`${start.replace('blocks', 'layers')}qkv.bias`, vector(q, zeros(8), v)],
    ]),
  ],
  timm: ['timm', file(same, fused())],
  "Hugging Face's VideoMAE": [
    'Hugging Face transformers',
    file(
      huggingFace,
      huggingFaceAttention((start, { q, v }) => [
        [`${start}q_bias`, q],
        [`${start}v_bias`, v],
      ]),
    ),
  ],
  "Hugging Face's ViT": [
    'Hugging Face transformers',
    file(
      huggingFace,
      huggingFaceAttention((start, { q, v }) => [
        [`${start}query.bias`, q],
        [`${start}key.bias`, zeros(8)],
        [`${start}value.bias`, v],
      ]),
    ),
  ],
  'MAE-ST': [
    'MAE-ST',
    file(same, (start, { qkv, q, v }) => [
      ...['q', 'k', 'v'].map((letter, i): [string, HostTensor] => [
        `${start}${letter}.weight`,
        thirdOf(qkv, i),
      ]),
      [`${start}q.bias`, q],
      [`${start}k.bias`, zeros(8)],
      [`${start}v.bias`, v],
    ]),
  ],
  CLIP: [
    'CLIP',
    file(clip, (start, { qkv, q, v }) => [
      [`${start.replace('blocks', 'transformer.resblocks')}in_proj_weight`, qkv],
      [`${start.replace('blocks', 'transformer.resblocks')}in_proj_bias`, vector(q, zeros(8), v)],
    ]),
  ],
};

const load = (state: ReadonlyMap<string, HostTensor>) => {
  const loaded = new Map<string, number[]>();
  const { warnings, misfit } = loadWeights(
    { path: 'f.pth', state },
    shapes,
    { noHead: false, coverage: 'whole groups' },
    (name, data) => loaded.set(bare(name), [...data]),
  );
  return { loaded, warnings, misfit };
};

const values = new Map(Array.from(expected, ([name, tensor]) => [name, [...numbers(tensor)]]));
const PREFIXES = ['', 'module.', 'model.', '_orig_mod.', 'module._orig_mod.', 'net.', 'backbone.', 'a.b.c.'];

describe.each(Object.entries(LAYOUTS))('names of %s', (_, [title, layout]) => {
  test('load every tensor with its values, whatever stands before all names', () => {
    for (const prefix of PREFIXES) {
      const renamed = new Map(Array.from(layout, ([name, tensor]) => [prefix + name, tensor]));
      const { loaded, warnings, misfit } = load(renamed);
      expect(misfit, prefix).toBeNull();
      expect(warnings, prefix).toEqual([]);
      expect(loaded, prefix).toEqual(values);
      expect(nameWeights(renamed).origin?.title).toBe(title);
    }
  });

  test('load if parts were compiled or wrapped on their own', () => {
    const inserted = new Map(
      Array.from(layout, ([name, tensor]) => {
        const [first, ...rest] = name.split('.');
        return [
          [first, '_orig_mod', ...rest.slice(0, -1), '_fsdp_wrapped_module', rest.at(-1)].join('.'),
          tensor,
        ];
      }),
    );
    expect(load(inserted).loaded).toEqual(values);
  });

  test('load if the prefix stands before the names of the network only', () => {
    const isOther = (name: string) => OTHERS.includes(name);
    const renamed = new Map(
      Array.from(layout, ([name, tensor]) => [isOther(name) ? name : `model.vit.${name}`, tensor]),
    );
    expect(load(renamed).loaded).toEqual(values);
  });

  test('are an error if a norm is missing', () => {
    const half = new Map(
      [...layout].filter(([name]) => !/\.1\.(norm1|ln1|ln_1|layernorm_before)/.test(name)),
    );
    expect(() => load(half)).toThrow(/blocks\.N\.norm1\.weight: 1 of 2/);
  });
});

test('the biases of keys are left out with a warning that says how large they are', () => {
  const keyBias = zeros(8);
  const state = file(same, fused(float32Tensor([8], numbers(keyBias).fill(-0.25, 3, 4))));
  const { loaded, warnings } = load(state);
  expect(loaded).toEqual(values);
  expect(warnings).toEqual([
    'this model has no biases for the keys of its attention, so those of the file (up to 0.250, in blocks.0.attn.qkv.bias) ' +
      'are left out. That changes no result, because attention weights do not depend on them',
  ]);
});

test('fused and separate tensors are read only when they are loaded', () => {
  const [, layout] = LAYOUTS["Hugging Face's ViT"];
  const untouchable = new Map(
    Array.from(layout, ([name, { dtype, shape }]) => {
      const bytes = () => expect.fail('nothing may be read');
      return [name, { dtype, shape, bytes } satisfies HostTensor];
    }),
  );
  expect([...nameWeights(untouchable).keyByName.keys()]).toEqual(
    expect.arrayContaining([...expected.keys()]),
  );
});

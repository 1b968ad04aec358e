/** @file Tests of files of other programs as they lie on disk: read, loaded, converted and described. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pickleOf, pthOf, tensorPickle, text } from '../../../test/support/checkpoint_files.js';
import { modelTensors, only } from '../../../test/support/model_tensors.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { float32Tensor, type HostTensor, sizeOf, toFloat32 } from '../../formats/host_tensor.js';
import { writePth } from '../../formats/pth/pth_writer.js';
import type { PyDict } from '../../formats/python/values.js';
import { writeSafetensors } from '../../formats/safetensors/safetensors_writer.js';
import { loadCheckpoint } from '../checkpoint_parts.js';
import { convertWeightFile } from '../convert.js';
import { describeWeightFile } from '../describe.js';

const { at } = temporaryFiles();

const shapes = only(modelTensors(), /^backbone\./);
const DIM = 8;

/** Other values in every element of the backbone. */
const expected = new Map(
  Array.from(shapes, ([name, { shape }], i) => {
    const data = Float32Array.from({ length: sizeOf(shape) }, (_, j) => i + j / 1024);
    return [name, float32Tensor(shape, data)] as const;
  }),
);

/** The names of transformers' VideoMAEForVideoClassification and VideoMAEForPreTraining. */
function huggingFaceFile(): Map<string, HostTensor> {
  const file = new Map<string, HostTensor>();
  for (const [name, tensor] of expected) {
    const block = /^backbone\.blocks\.(\d+)\.(.*)$/.exec(name);
    const layer = `videomae.encoder.layer.${block?.[1]}`;
    if (block === null) file.set(`videomae.${OUTSIDE[name]}`, tensor);
    else if (block[2] !== 'attn.qkv.weight')
      file.set(
        `${layer}.${INSIDE.reduce((end, [ours, theirs]) => end.replace(ours, theirs), block[2])}`,
        tensor,
      );
    else
      for (const [i, word] of ['query', 'key', 'value'].entries()) {
        const rows = toFloat32(tensor).slice(i * DIM * DIM, (i + 1) * DIM * DIM);
        file.set(`${layer}.attention.attention.${word}.weight`, float32Tensor([DIM, DIM], rows));
      }
  }
  const other = float32Tensor([5], new Float32Array(5));
  for (const name of ['fc_norm.weight', 'classifier.weight', 'mask_token', 'encoder_to_decoder.weight'])
    file.set(name, other);
  file.set('decoder.decoder_layers.0.attention.attention.q_bias', other);
  return file;
}

const OUTSIDE: Record<string, string> = {
  'backbone.patch_embed.proj.weight': 'embeddings.patch_embeddings.projection.weight',
  'backbone.patch_embed.proj.bias': 'embeddings.patch_embeddings.projection.bias',
  'backbone.norm.weight': 'layernorm.weight',
  'backbone.norm.bias': 'layernorm.bias',
};
const INSIDE = [
  ['attn.proj', 'attention.output.dense'],
  ['attn.', 'attention.attention.'],
  ['mlp.fc1', 'intermediate.dense'],
  ['mlp.fc2', 'output.dense'],
  ['norm1', 'layernorm_before'],
  ['norm2', 'layernorm_after'],
] as const;

const numbers = (state: ReadonlyMap<string, HostTensor>) =>
  new Map(Array.from(state, ([name, tensor]) => [name, [...toFloat32(tensor)]]));

function loaded(path: string) {
  const values = new Map<string, number[]>();
  const source = { path, transfer: true, noHead: true, coverage: 'whole groups' } as const;
  const { averages, warnings } = loadCheckpoint(source, shapes, (name, data) => values.set(name, [...data]));
  return { values, averages, warnings };
}

test.each([
  ['model.safetensors', (path: string) => writeSafetensors(path, huggingFaceFile())],
  ['pytorch_model.bin', (path: string) => writePth(path, huggingFaceFile() as PyDict)],
])("Hugging Face's VideoMAE loads from %s, and convert gives it the official names", async (name, write) => {
  await write(at(name));
  expect(loaded(at(name))).toEqual({ values: numbers(expected), averages: null, warnings: [] });
  await convertWeightFile(at(name), at('out.pth'), { dtype: 'keep', weightsOnly: false, names: 'official' });
  const { tensors } = describeWeightFile(at('out.pth'));
  expect(tensors.map((tensor) => tensor.name)).toEqual(expect.arrayContaining([...expected.keys()]));
  expect(loaded(at('out.pth')).values).toEqual(numbers(expected));
});

test('averaged weights beside the chosen ones are reported when the file is loaded', async () => {
  const averaged = new Map(
    Array.from(shapes, ([name, { shape }]) => [
      `module.${name}`,
      float32Tensor(shape, new Float32Array(sizeOf(shape))),
    ]),
  );
  await writePth(at('ema.pth'), { model: expected as PyDict, model_ema: averaged as PyDict });
  const { values, averages } = loaded(at('ema.pth'));
  expect(values).toEqual(numbers(expected));
  expect(averages).toMatch(/To load those instead, add MODEL\.WEIGHT_KEY model_ema$/);
});

test('a whole network that was pickled gives its tensors, also to a checkpoint of other names', async () => {
  const part = tensorPickle({ length: 2, size: [2], stride: [1] });
  const inner = ['cmy\nLinear\n)', [0x81], '}(', text('_parameters'), '}(', text('weight'), part, 'u'];
  const network = [
    ...['cmy\nNet\n)', [0x81], '}(', text('_parameters'), '}', text('_modules'), '}(', text('fc')],
    ...[...inner, text('_modules'), '}ub', 'uub.'],
  ];
  const values = Buffer.from(Float32Array.of(3, 4).buffer);
  writeFileSync(at('network.pth'), await pthOf(pickleOf(...network), { 0: values }));
  const description = describeWeightFile(at('network.pth'));
  expect(description.tensors).toMatchObject([{ name: 'fc.weight', shape: [2], statistics: { sum: 7 } }]);
});

test.each([
  [
    'conv1.weight',
    'weights of a ResNet with names that no model of stmixer has, so they do not load',
    [4, 3, 7, 7],
  ],
  [
    'patch_embed.proj.weight',
    'weights of an image model, which do not load: the patch embedding is a 2-D kernel [4,3,7,7]',
    [4, 3, 7, 7],
  ],
])(
  'weights of another network are called so when the file is inspected: %s',
  async (name, sentence, shape) => {
    const tensor = (...sizes: number[]) => float32Tensor(sizes, new Float32Array(sizeOf(sizes)));
    const file = new Map([[name, tensor(...shape)]]);
    const others = name === 'conv1.weight' ? 'layer1' : 'blocks';
    for (let i = 0; i < 8; i++) file.set(`${others}.${i}.norm1.weight`, tensor(4));
    await writePth(at('other.pth'), file as PyDict);
    expect(describeWeightFile(at('other.pth')).loading).toEqual([sentence]);
  },
);

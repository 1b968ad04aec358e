/** @file Tests of loading weights, and of what is said of files that fit a model in part. */
import { describe, expect, test } from 'vitest';
import { errorOf } from '../../test/support/checkpoint_files.js';
import {
  modelTensors,
  only,
  renamed,
  type StateDict,
  smallTensor,
  withFusedBias,
  without,
} from '../../test/support/model_tensors.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { CheckpointError } from '../errors.js';
import type { HostTensor } from '../formats/host_tensor.js';
import type { Coverage } from './fit.js';
import { type LoadedWeights, loadWeights } from './load_weights.js';
import type { ModelShapes } from './weights.js';

const state = (...keys: string[]) =>
  new Map<string, HostTensor | null>(keys.map((key) => [key, smallTensor(2)]));
const model = (...names: string[]) => new Map(names.map((name) => [name, { shape: [2] }]));

interface Request {
  noHead?: boolean;
  coverage?: Coverage;
}

const load = (
  file: ReadonlyMap<string, HostTensor | null>,
  shapes: ModelShapes,
  { noHead = false, coverage = 'whole groups' }: Request = {},
): LoadedWeights => loadWeights({ path: 'f.pth', state: file }, shapes, { noHead, coverage }, () => {});

const failure = (
  file: ReadonlyMap<string, HostTensor | null>,
  shapes: ModelShapes,
  { noHead = false, coverage = 'whole groups' }: Request = {},
): string => {
  const set = () => expect.fail('nothing may be set');
  const error = errorOf(() => loadWeights({ path: 'f.pth', state: file }, shapes, { noHead, coverage }, set));
  expect(error).toBeInstanceOf(CheckpointError);
  return error.message;
};

describe('loadWeights', () => {
  test('converts the values and passes them on one by one', () => {
    const file = new Map<string, HostTensor>([
      ['a', { dtype: 'bfloat16', shape: [2], bytes: () => Uint8Array.of(0x80, 0x3f, 0, 0x40) }],
    ]);
    const set: [string, Float32Array][] = [];
    const options = { noHead: false, coverage: 'any' } as const;
    loadWeights({ path: 'f.pth', state: file }, model('x.a'), options, (name, data) =>
      set.push([name, data]),
    );
    expect(set).toEqual([['x.a', Float32Array.of(1, 2)]]);
  });

  test('advises --no-head if the sizes of the head differ', () => {
    const file = new Map([
      ['backbone.w', smallTensor(2)],
      ['stm_head.fc_reg.weight', smallTensor(80, 4)],
    ]);
    const names = new Map([
      ['backbone.w', { shape: [2] }],
      ['stm_head.fc_reg.weight', { shape: [3, 4] }],
    ]);
    expect(failure(file, names)).toBe(
      'f.pth: 1 tensor with another shape than in the model: stm_head.fc_reg.weight is [80,4] in the file and [3,4] in ' +
        'the model. Use --no-head to load everything but the head, or set the sizes of the head (MODEL.STM.*) to those of ' +
        'the file.',
    );
    expect([...load(file, names, { noHead: true }).report.loaded.keys()]).toEqual(['backbone.w']);
  });

  test('advises other settings if the size of the backbone differs', () => {
    const file = new Map([['backbone.w', smallTensor(3)], ...state('stm_head.w')]);
    expect(failure(file, model('backbone.w', 'stm_head.w'))).toMatch(/Set the sizes in the config/);
    const many = state('a', 'b', 'c', 'd', 'e', 'f');
    const names = new Map([...many.keys()].map((name) => [name, { shape: [2, 1] }]));
    expect(failure(many, names)).toMatch(/6 tensors with .* \(and 2 more\)/);
  });

  test('shows the names of both if nothing fits', () => {
    for (const coverage of ['any', 'whole groups', 'whole model'] as const) {
      expect(failure(state('a', 'b', 'c', 'd'), model('x'), { coverage })).toBe(
        'f.pth: nothing in it fits the model. Its keys are: a, b, c, …; the model has: x',
      );
    }
  });
});

/** Names that no table knows. */
function strangeName(name: string): string {
  return name
    .replace('patch_embed.proj', 'patch_embed.conv')
    .replace('mlp.fc1', 'mlp.lin1')
    .replace('mlp.fc2', 'mlp.lin2');
}

const whole = modelTensors();
const backbone = only(whole, /^backbone\./);
const bare = (file: StateDict) => renamed(file, (name) => name.replace(/^backbone\./, ''));
const deep = tinyConfig({ 'ViT.DEPTH': 4 });

describe('a file of an official kind', () => {
  test.each<[string, StateDict]>([
    ['a whole detector', whole],
    ['a backbone', backbone],
    ['a backbone without its prefix', bare(backbone)],
    ['a backbone without the last norm', without(backbone, /^backbone\.norm\./)],
    [
      'a classifier with fc_norm',
      new Map([
        ...bare(without(backbone, /^backbone\.norm\./)),
        ...['fc_norm.weight', 'fc_norm.bias'].map((name) => [name, smallTensor(8)] as const),
        ['head.weight', smallTensor(710, 8)],
        ['head.bias', smallTensor(710)],
      ]),
    ],
    [
      'a pre-training with encoder and decoder',
      new Map([
        ...renamed(backbone, (name) => name.replace('backbone.', 'encoder.')),
        ...renamed(backbone, (name) => name.replace('backbone.', 'decoder.')),
        ['mask_token', smallTensor(1, 1, 8)],
      ]),
    ],
    ['a detector with module. before every name', renamed(whole, (name) => `module.${name}`)],
    ['a detector without its head', without(whole, /^stm_head\./)],
    [
      'a detector with the buffer of the loss',
      new Map([...whole, ['stm_head.criterion.empty_weight', smallTensor(2)]]),
    ],
    [
      'a table of positions beside the blocks',
      new Map([...backbone, ['backbone.pos_embed', smallTensor(1, 8, 8)]]),
    ],
  ])('loads without a warning: %s', (_, file) => {
    const { report, misfit } = load(file, whole);
    expect(misfit).toBeNull();
    expect(report.loaded.size).toBeGreaterThanOrEqual(28);
  });

  test('may lack the buffer of the loss', () => {
    const shapes = new Map([...whole, ['stm_head.criterion.empty_weight', smallTensor(2)]]);
    expect(load(whole, shapes).misfit).toBeNull();
  });

  test('needs no head with --no-head', () => {
    const half = without(whole, /decoder_stages\.1\./);
    expect(load(half, whole, { noHead: true }).misfit).toBeNull();
    expect(
      load(modelTensors(tinyConfig({ 'MODEL.STM.NUM_STAGES': 6 })), whole, { noHead: true }).misfit,
    ).toBeNull();
  });
});

describe('a file whose weights fit in part', () => {
  test('is reported with counts and the likely renaming if no table knows its names', () => {
    for (const file of [renamed(backbone, strangeName), bare(renamed(backbone, strangeName))]) {
      expect(failure(file, whole)).toBe(
        [
          'f.pth: its weights fit the model only in part',
          '  backbone: 20 of 30 tensors load',
          '    patch embedding: 0 of 2',
          '    blocks.N.mlp.fc1.weight: 0 of 2',
          '    blocks.N.mlp.fc1.bias: 0 of 2',
          '    blocks.N.mlp.fc2.weight: 0 of 2',
          '    blocks.N.mlp.fc2.bias: 0 of 2',
          '  most likely these are the same under other names, file → model:',
          '    patch_embed.conv.weight → patch_embed.proj.weight',
          '    patch_embed.conv.bias → patch_embed.proj.bias',
          '    mlp.lin1.weight → mlp.fc1.weight (in blocks.N)',
          '    mlp.lin1.bias → mlp.fc1.bias (in blocks.N)',
          '    mlp.lin2.weight → mlp.fc2.weight (in blocks.N)',
          '    mlp.lin2.bias → mlp.fc2.bias (in blocks.N)',
          'Rename the tensors in the file, or use --allow-partial to train with what loads, and the rest at random.',
        ].join('\n'),
      );
    }
  });

  test('is reported with counts, blocks and depth if it has too few blocks', () => {
    const message = failure(backbone, modelTensors(deep));
    expect(message).toContain('  backbone: 30 of 56 tensors load');
    expect(message).toContain('    blocks.N.attn.qkv.weight: 2 of 4 (without N = 2, 3)');
    expect(message).toContain('  the file has 2 blocks, the model 4 (ViT.DEPTH)');
    expect(message).toContain('Use the configuration that fits the file (ViT.DEPTH 2), or');
  });

  test('is refused if it has too many blocks, instead of cutting the network', () => {
    const message = failure(modelTensors(deep), whole);
    expect(message).toContain(
      'f.pth: only a part of its weights fits the model\n  backbone: 30 of 30 tensors load',
    );
    expect(message).toMatch(/in the file, but not in the model: 26 \(backbone\.blocks\.2\.norm1\.weight, /);
    expect(message).toContain('Use the configuration that fits the file (ViT.DEPTH 4), or');
  });

  test('is reported with both if it has unknown names and too many blocks', () => {
    const message = failure(bare(renamed(modelTensors(deep), strangeName)), whole);
    expect(message).toContain('mlp.lin1.weight → mlp.fc1.weight');
    expect(message).toContain('(ViT.DEPTH 4)');
  });

  test.each([
    [
      'backbone.blocks.1.norm2.weight',
      '  backbone: 29 of 30',
      '    blocks.N.norm2.weight: 1 of 2 (without N = 1)',
    ],
    [
      'backbone.patch_embed.proj.bias',
      '  backbone: 29 of 30',
      '    patch embedding: 1 of 2 (without backbone.patch',
    ],
    ['lateral_convs.2.1.bias', '  neck: 23 of 24', '    level 2: 3 of 4 (without lateral_convs.2.1.bias)'],
    [
      'stm_head.init_spatial_queries.weight',
      '  head: 115 of 116',
      '    queries of the decoder: 1 of 2 (without',
    ],
    [
      'stm_head.decoder_stages.1.iof_tau',
      '  head: 115 of 116',
      '    decoder stage 1: 56 of 57 (without stm_',
    ],
  ])('is reported if it lacks the one tensor %s', (name, ...lines) => {
    const file = new Map(whole);
    file.delete(name);
    const message = failure(file, whole);
    for (const line of lines) expect(message).toContain(line);
    expect(message.includes('--no-head')).toBe(name.startsWith('stm_head.'));
  });

  test('is reported if some blocks have another name or prefix', () => {
    const one = failure(
      renamed(whole, (name) => name.replace('blocks.1.norm1', 'blocks.1.lnorm1')),
      whole,
    );
    expect(one).toContain('    lnorm1.weight → norm1.weight (in blocks.1)');
    const half = renamed(backbone, (name) => (name.includes('blocks.1') ? `module.${name}` : name));
    const message = failure(half, whole);
    expect(message).toContain('    module.* → *');
    expect(message).not.toContain('ViT.DEPTH');
    const layers = renamed(modelTensors(deep), (name) => name.replace('backbone.blocks', 'units'));
    expect(failure(layers, whole)).toMatch(/ {4}units\.\* → blocks\.\*\n.*\(ViT\.DEPTH 4\)/);
  });

  test('is not excused for a part of the last norm that is missing', () => {
    expect(load(without(backbone, /^backbone\.norm\.bias$/), whole).misfit).toBeNull();
    expect(failure(only(backbone, /^backbone\.norm/), whole)).toContain('backbone: 2 of 30 tensors load');
  });

  test.each([
    [6, 2, 'only a part of its weights fits the model\n  head: 116 of 116 tensors load'],
    [
      1,
      2,
      'its weights fit the model only in part\n  head: 59 of 116 tensors load\n    decoder stage 1: 0 of 57',
    ],
  ])('is reported if its head has %i decoder stages and the model %i', (stages, inModel, counts) => {
    const file = modelTensors(tinyConfig({ 'MODEL.STM.NUM_STAGES': stages }));
    const message = failure(file, modelTensors(tinyConfig({ 'MODEL.STM.NUM_STAGES': inModel })));
    expect(message).toContain(counts);
    expect(message).toContain(
      `Use the configuration that fits the file (MODEL.STM.NUM_STAGES ${stages}), or leave the head out with --no-head, or`,
    );
  });

  test('is refused if it has a head without neck or backbone', () => {
    const message = failure(without(whole, /^lateral_convs\./), whole);
    expect(message).toContain('  neck: 0 of 24 tensors load\n    level 0: 0 of 10\n');
    expect(message).not.toContain('  head:');
    expect(failure(only(whole, /^stm_head\./), whole)).toContain('  backbone: 0 of 28 tensors load');
    const buffer = new Map([['stm_head.criterion.empty_weight', smallTensor(2)]]);
    expect(failure(buffer, new Map([...whole, ...buffer]))).toContain('  backbone: 0 of 28 tensors load');
  });

  test.each([
    ['neck', 'lateral_convs', 'fpn'],
    ['head', 'stm_head', 'roi_head'],
  ])(
    'is reported if it has a %s under another name, which does not count as left out',
    (group, ours, theirs) => {
      const message = failure(
        renamed(whole, (name) => name.replace(ours, theirs)),
        whole,
      );
      expect(message).toContain(`  ${group}: 0 of`);
      expect(message).toContain(`    ${theirs}.* → ${ours}.*`);
    },
  );

  test('is reported with the settings that add tensors, on either side', () => {
    const other = (key: string, value: unknown) => modelTensors(tinyConfig({ [key]: value }));
    const layerScale = other('ViT.INIT_VALUES', 0.1);
    expect(failure(layerScale, whole)).toContain('(ViT.INIT_VALUES above 0)');
    expect(failure(whole, layerScale)).toContain('(ViT.INIT_VALUES 0)');
    const noBias = other('ViT.QKV_BIAS', false);
    expect(failure(whole, noBias)).toContain('(ViT.QKV_BIAS True)');
    expect(failure(noBias, whole)).toContain('(ViT.QKV_BIAS False)');
    expect(failure(withFusedBias(backbone), noBias)).toContain(
      'in the model: 4 (backbone.blocks.0.attn.q_bias, ',
    );
    const positions = other('ViT.USE_LEARNABLE_POS_EMB', true);
    expect(failure(whole, positions)).toMatch(/position embedding: 0 of 1\n.*LEARNABLE_POS_EMB False/);
    const hidden = other('MODEL.STM.NUM_CLS', 2);
    expect(failure(hidden, whole)).toContain('(a larger MODEL.STM.NUM_CLS)');
    expect(failure(whole, hidden)).toContain('(a smaller MODEL.STM.NUM_CLS)');
  });

  test('is loaded and reported if any coverage is allowed', () => {
    const { report, misfit } = load(renamed(backbone, strangeName), whole, { coverage: 'any' });
    expect(report.loaded.size).toBe(20);
    expect(misfit).toMatch(/^its weights fit the model only in part\n {2}backbone: 20 of 30 tensors load\n/);
    expect(misfit).toContain('patch_embed.conv.weight → patch_embed.proj.weight');
    expect(load(modelTensors(deep), whole, { coverage: 'any' }).report.loaded.size).toBe(whole.size);
  });

  test('is reported with names that are harmless for the terminal', () => {
    const file = new Map([...whole, ['stm_head.a\x1b[2J', smallTensor(1)]]);
    expect(failure(file, whole)).toContain('stm_head.a\\x1b[2J');
  });
});

describe('loading with the whole model', () => {
  const coverage = 'whole model';

  test('reports a file of a backbone as incomplete', () => {
    const message = failure(backbone, whole, { coverage });
    expect(message).toMatch(/^f\.pth: lacks 140 of the model's 170 weights \(lateral_convs\.0\.0\.weight, /);
    expect(message).toContain('  head: 0 of 116 tensors load');
    expect(message).not.toContain('--allow-partial');
  });

  test('reports renamed tensors and cut networks as in training', () => {
    expect(failure(renamed(whole, strangeName), whole, { coverage })).toMatch(
      /backbone: 20 of 30 tensors load\n(.*\n)* {4}mlp\.lin2\.bias → mlp\.fc2\.bias/,
    );
    expect(failure(without(whole, /^backbone\.norm/), whole, { coverage })).toContain(
      '    norm after the last block: 0 of 2',
    );
    expect(failure(modelTensors(deep), whole, { coverage })).toMatch(
      /^f\.pth: holds more than the model(.*\n)+Use the configuration that fits the file \(ViT\.DEPTH 4\)\.$/,
    );
  });
});

describe('a file with another number of action classes', () => {
  const many = modelTensors(tinyConfig({ 'MODEL.STM.ACTION_CLASSES': 7 }));
  const classifiers = [0, 1].flatMap((stage) =>
    ['weight', 'bias'].map((end) => `stm_head.decoder_stages.${stage}.fc_action.${end}`),
  );
  const options = { noHead: false, coverage: 'whole groups', newClassifiers: true } as const;

  test('loads all but the action classifiers into a new training, and a warning names them', () => {
    const set: string[] = [];
    const loaded = loadWeights({ path: 'f.pth', state: many }, whole, options, (name) => set.push(name));
    expect(loaded.misfit).toBeNull();
    expect(set).toEqual([...whole.keys()].filter((name) => !classifiers.includes(name)));
    expect(loaded.report.newClassifiers.map(({ name }) => name).toSorted()).toEqual(classifiers.toSorted());
    expect(loaded.warnings).toEqual([
      'the file has 7 action classes, and MODEL.STM.ACTION_CLASSES is 3: 4 tensors of the action classifiers start at random ' +
        `(${loaded.report.newClassifiers.map(({ name }) => name).join(', ')}); everything else is loaded`,
    ]);
  });

  test('is an error for test and detect, which says what to do', () => {
    expect(failure(many, whole, { coverage: 'whole model' })).toBe(
      'f.pth: the weights have 7 action classes, and MODEL.STM.ACTION_CLASSES is 3. Set MODEL.STM.ACTION_CLASSES 7 to use ' +
        'them as they are. To have 3 classes, train from these weights first: stmixer train --transfer.',
    );
  });

  test('is an error if another tensor has other sizes, too', () => {
    const other = modelTensors(
      tinyConfig({ 'MODEL.STM.ACTION_CLASSES': 7, 'MODEL.STM.DIM_FEEDFORWARD': 24 }),
    );
    const load = () => loadWeights({ path: 'f.pth', state: other }, whole, options, () => {});
    expect(load).toThrow(/tensors with another shape than in the model/);
    const wide = new Map(many);
    for (const name of classifiers) wide.set(name, smallTensor(7, 5));
    expect(() => loadWeights({ path: 'f.pth', state: wide }, whole, options, () => {})).toThrow(
      /another shape/,
    );
  });
});

/** @file Tests of weights for ResNets: Caffe2's pickles and PySlowFast's own files, read, loaded, described and converted. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorOf, pickleOf, text } from '../../../test/support/checkpoint_files.js';
import { modelTensors, smallTensor } from '../../../test/support/model_tensors.js';
import { arrayPickle, pushed } from '../../../test/support/numpy_pickles.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import { tinySlowFast, tinySlowOnly } from '../../../test/support/tiny_resnet.js';
import { inspectCheckpoint } from '../../cli/inspect_checkpoint.js';
import type { Config } from '../../config/index.js';
import { CheckpointError } from '../../errors.js';
import { float32Tensor, type HostTensor, sizeOf, toFloat32 } from '../../formats/host_tensor.js';
import { writePth } from '../../formats/pth/pth_writer.js';
import type { PyValue } from '../../formats/python/values.js';
import { openWeightFile } from '../../formats/weight_file.js';
import { Detector } from '../../model/detector.js';
import { loadCheckpoint } from '../checkpoint_parts.js';
import { convertWeightFile } from '../convert.js';
import { describeWeightFile } from '../describe.js';
import type { Coverage } from '../misfit/fit.js';
import { type ModelShapes, summarizeReport } from '../weights.js';

const { at } = temporaryFiles();

const shapesOf = (cfg: Config): ModelShapes => new Map(new Detector(cfg).namedState());
const slowFast = shapesOf(tinySlowFast());
const slowOnly = shapesOf(tinySlowOnly());

const isCounter = (name: string) => name.endsWith('num_batches_tracked');

/** Other values in every weight of a backbone, without its counters, by PySlowFast's names. */
function backboneOf(shapes: ModelShapes): Map<string, HostTensor> {
  const names = [...shapes].filter(([name]) => name.startsWith('backbone.') && !isCounter(name));
  return new Map(
    names.map(([name, { shape }], i) => {
      const data = Float32Array.from({ length: sizeOf(shape) }, (_, j) => i + j / 1024);
      return [name.replace('backbone.', ''), float32Tensor([...shape], data)];
    }),
  );
}

/** Caffe2's name of a tensor, by the table of names from right to left. */
function blobOf(name: string): string {
  const words = name.split('.');
  const end = words.pop()!;
  const isNorm = words.at(-1)!.endsWith('bn');
  const last = isNorm
    ? { weight: 's', bias: 'b', running_mean: 'rm', running_var: 'riv' }[end]
    : { weight: 'w', bias: 'b' }[end];
  const [stage, module, ...layers] = words;
  const k = stage[1];
  const bn = isNorm ? '_bn' : '';
  if (stage.endsWith('_fuse')) {
    const place = k === '1' ? 't_pool1' : `t_res${k}_1_branch2c_bn`;
    return `${place}_subsample${bn}_${last}`;
  }
  const t = module.startsWith('pathway1') ? 't_' : '';
  const [, kind, i] = /_([a-z]+)(\d*)$/.exec(module)!;
  if (kind === 'stem') return isNorm ? `${t}res_conv1_bn_${last}` : `${t}conv1_${last}`;
  const layer = layers
    .join('')
    .replace(/^conv_/, '')
    .replace(/_?bn$/, '');
  if (kind === 'nonlocal') return `nonlocal_conv${k}_${i}_${isNorm ? 'bn' : layer}_${last}`;
  return `${t}res${k}_${i}_${layer}${bn}_${last}`;
}

const arrayOf = (tensor: HostTensor) =>
  arrayPickle({ code: 'f4', shape: tensor.shape, data: pushed.python2(tensor.bytes()) });

const python2Text = (word: string) => pickleOf('U', [word.length], word);

/** A pickle of Python 2 with a dict of these values, under the key `blobs` or alone. */
function pickleFile(entries: readonly (readonly [string, Buffer])[], key: string | null = 'blobs'): string {
  const path = at('weights.bin');
  const dict = pickleOf('}(', ...entries.flatMap(([name, value]) => [python2Text(name), value]), 'u');
  writeFileSync(
    path,
    pickleOf([0x80, 2], ...(key === null ? [dict] : ['}', python2Text(key), dict, 's']), '.'),
  );
  return path;
}

const blobsOf = (backbone: ReadonlyMap<string, HostTensor>) =>
  Array.from(backbone, ([name, tensor]) => [blobOf(name), arrayOf(tensor)] as const);

const arrayOf8 = (code: string, ...numbers: number[]) => {
  const bytes = new Uint8Array(Float64Array.from(numbers).buffer);
  return arrayPickle({ code, shape: [numbers.length], data: pushed.python2(bytes) });
};

/** What Caffe2's training leaves in the file, too. */
const OTHERS: readonly (readonly [string, Buffer])[] = [
  ['pred_w', arrayOf8('f8', 1, 2)],
  ['conv1_w_momentum', arrayOf8('f8', 3)],
  ['lr', arrayOf8('f8', 0.1)],
  ['model_iter', pickleOf('K', [7])],
];

function load(path: string, shapes: ModelShapes, coverage: Coverage = 'whole groups') {
  const set = new Map<string, number[]>();
  const loaded = loadCheckpoint({ path, transfer: false, noHead: false, coverage }, shapes, (name, data) =>
    set.set(name, [...data]),
  );
  return { ...loaded, set };
}

const failure = (path: string, shapes: ModelShapes): string => {
  const error = errorOf(() => load(path, shapes));
  expect(error).toBeInstanceOf(CheckpointError);
  return error.message.replace(path, 'F');
};

const valuesOf = (backbone: ReadonlyMap<string, HostTensor>) =>
  new Map(Array.from(backbone, ([name, tensor]) => [`backbone.${name}`, [...toFloat32(tensor)]]));

describe("a pickle with Caffe2's names", () => {
  test.each([
    ['SlowOnly', slowOnly],
    ['SlowFast with a non-local block', slowFast],
  ])('fills the backbone of %s', (_, shapes) => {
    const backbone = backboneOf(shapes);
    for (const key of ['blobs', null]) {
      const { set, report, misfit, warnings } = load(
        pickleFile([...blobsOf(backbone), ...OTHERS], key),
        shapes,
      );
      expect(set).toEqual(valuesOf(backbone));
      expect([misfit, warnings]).toEqual([null, []]);
      expect(report.unexpected).toEqual(['pred_w', 'conv1_w_momentum']);
    }
  });

  test('has a report that names what stays random, without the counters that it never has', () => {
    const path = pickleFile([...blobsOf(backboneOf(slowOnly)), ...OTHERS]);
    const { report } = load(path, slowOnly);
    expect(report.missing.filter((name) => name.startsWith('backbone.')).every(isCounter)).toBe(true);
    const text = summarizeReport('F', report);
    expect(text).not.toContain('num_batches_tracked');
    const missing = [...slowOnly.keys()].filter((name) => !name.startsWith('backbone.'));
    expect(text).toContain(`  not in the file: ${missing.length} (lateral_convs.0.weight, `);
    expect(text).toContain('  not in the model: 2 (pred_w, conv1_w_momentum)');
    expect(text).toContain('  the neck and the head are not in the file and start at random');
  });

  test('may hold float64 by columns', () => {
    const backbone = backboneOf(slowOnly);
    const [name, tensor] = [...backbone].find(([, { shape }]) => shape.length === 5 && shape[2] > 1)!;
    const columns = new Float64Array(sizeOf(tensor.shape));
    const from = toFloat32(tensor);
    const [a, b, c, d, e] = tensor.shape;
    let index = 0;
    for (let n = 0; n < e; n++)
      for (let m = 0; m < d; m++)
        for (let l = 0; l < c; l++)
          for (let k = 0; k < b; k++)
            for (let i = 0; i < a; i++) columns[index++] = from[(((i * b + k) * c + l) * d + m) * e + n];
    const data = pushed.python2(new Uint8Array(columns.buffer));
    const array = arrayPickle({ code: 'f8', shape: tensor.shape, isFortran: true, data });
    const blobs = new Map(blobsOf(backbone)).set(blobOf(name), array);
    expect(load(pickleFile([...blobs]), slowOnly).set).toEqual(valuesOf(backbone));
  });

  test.each<[string, Buffer]>([
    ['a number', pickleOf('K', [3])],
    ['an array of objects', arrayPickle({ code: 'O8', order: '|', shape: [1], data: pickleOf('](Ne') })],
    ['a tensor of PyTorch', pickleOf('ctorch._utils\n_rebuild_tensor_v2\n(Nt', 'R')],
  ])('is refused if a blob is %s', (_, value) => {
    const blobs = new Map(blobsOf(backboneOf(slowOnly))).set('res2_0_branch2a_w', value);
    expect(failure(pickleFile([...blobs]), slowOnly)).toBe(
      'F: "res2_0_branch2a_w" is no array of numbers. Apart from lr and model_iter, a file with names of Caffe2 holds ' +
        'nothing else. Remove it from the dictionary and write the file again.',
    );
  });

  test('is refused if a blob has another shape', () => {
    const blobs = new Map(blobsOf(backboneOf(slowOnly))).set('conv1_w', arrayOf(smallTensor(3, 3, 1, 7, 7)));
    expect(failure(pickleFile([...blobs]), slowOnly)).toBe(
      'F: 1 tensor with another shape than in the model: backbone.s1.pathway0_stem.conv.weight is [3,3,1,7,7] in the file ' +
        'and [4,3,1,7,7] in the model. Set the sizes in the config (RESNET.*, SLOWFAST.*) to those the weights were trained with.',
    );
  });

  test('is refused if running statistics are missing, and loads in part', () => {
    const blobs = new Map(blobsOf(backboneOf(slowOnly)));
    blobs.delete('res3_1_branch2b_bn_riv');
    const path = pickleFile([...blobs]);
    expect(failure(path, slowOnly)).toMatch(
      /s3\.pathway0_resN: 34 of 35 \(without backbone\.s3\.pathway0_res1\.branch2\.b_bn\.running_var\)/,
    );
    const { misfit, set } = load(path, slowOnly, 'any');
    expect(set.size).toBe(blobs.size);
    expect(misfit).toContain('s3.pathway0_resN: 34 of 35');
  });

  test('of fewer or more blocks is refused with the depth of the file', () => {
    const deep = shapesOf(tinySlowOnly({ 'RESNET.DEPTH': 50 }));
    const fewer = failure(pickleFile(blobsOf(backboneOf(slowOnly))), deep);
    expect(fewer).toContain(
      's4.pathway0_resN: 35 of 95 (without backbone.s4.pathway0_res2.branch2.a.weight, ',
    );
    expect(fewer).toContain('the file has 2 s4 blocks, the model 6 (RESNET.DEPTH)');
    expect(fewer).toContain(
      'Use the configuration that fits the file (RESNET.DEPTH 18), or use --allow-partial',
    );
    const more = failure(pickleFile(blobsOf(backboneOf(deep))), slowOnly);
    expect(more).toContain('in the file, but not in the model: 120 (s2.pathway0_res2.branch2.a.weight, ');
    expect(more).toContain('Use the configuration that fits the file (RESNET.DEPTH 50)');
  });

  test('of a model with other non-local blocks is refused with the setting', () => {
    const without = shapesOf(
      tinySlowFast({
        'NONLOCAL.LOCATION': [
          [[], []],
          [[], []],
          [[], []],
          [[], []],
        ],
      }),
    );
    const message = /fits the file \(NONLOCAL\.LOCATION with the blocks of the file\)/;
    expect(failure(pickleFile(blobsOf(backboneOf(slowFast))), without)).toMatch(message);
    expect(failure(pickleFile(blobsOf(backboneOf(without))), slowFast)).toMatch(message);
  });

  test('is described', () => {
    const backbone = backboneOf(slowFast);
    const path = pickleFile([...blobsOf(backbone), ...OTHERS]);
    const { text: described, error } = inspectCheckpoint(path, false);
    expect(error).toBeNull();
    for (const line of [
      /^file: +Python pickle, \d/m,
      /^weights: +\d+ tensors, [\d,]+ elements under "blobs"$/m,
      /^origin: +names of Caffe2 \(the model zoo of PySlowFast\)$/m,
      /^loading: +only a backbone: its tensors load into backbone\.\*$/m,
      /^other names: +pred_w, conv1_w_momentum, which are no names of stmixer's models$/m,
      /^checksums: +none in the file$/m,
    ])
      expect(described).toMatch(line);
    const [group] = describeWeightFile(path).groups;
    expect(group).toEqual({ group: 'backbone', tensors: backbone.size, known: backbone.size, unknown: [] });
  });

  test('is converted to the names of the official STMixer', async () => {
    const backbone = backboneOf(slowFast);
    const path = pickleFile([...blobsOf(backbone), ...OTHERS]);
    const [kept, official] = [at('kept.pth'), at('official.pth')];
    await convertWeightFile(path, kept, { dtype: 'keep', weightsOnly: false });
    await convertWeightFile(path, official, { dtype: 'keep', weightsOnly: false, names: 'official' });
    expect(load(kept, slowFast).set).toEqual(valuesOf(backbone));
    expect(load(official, slowFast).set).toEqual(valuesOf(backbone));
    const { model } = Object.fromEntries(openWeightFile(official).value as Map<string, PyValue>);
    const names = [...(model as Map<string, HostTensor>).keys()];
    expect(names).toEqual([...valuesOf(backbone).keys(), 'pred_w', 'conv1_w_momentum']);
  });
});

describe('a file of PySlowFast', () => {
  const backbone = backboneOf(slowFast);
  const whole = new Map([
    ...backbone,
    [
      's1.pathway0_stem.bn.num_batches_tracked',
      { dtype: 'int64', shape: [], bytes: () => new Uint8Array(8) },
    ],
    ['head.projection.weight', smallTensor(5, 8)],
    ['head.projection.bias', smallTensor(5)],
  ] as [string, HostTensor][]);

  test.each(['model_state', 'model', 'module', 'state_dict', null])('loads from the key %s', async (key) => {
    const path = at('x.pyth');
    const optimizer = { state: {}, param_groups: [{ params: [0] }] };
    await writePth(
      path,
      key === null ? whole : { epoch: 3, [key]: whole, optimizer_state: optimizer, cfg: 'A: 1' },
    );
    const { set, report, misfit, iteration } = load(path, slowFast);
    set.delete('backbone.s1.pathway0_stem.bn.num_batches_tracked');
    expect(set).toEqual(valuesOf(backbone));
    expect([misfit, iteration]).toEqual([null, null]);
    expect(report.unexpected).toEqual(['head.projection.weight', 'head.projection.bias']);
    expect(summarizeReport('F', report)).toContain(
      'not in the model: 2 (head.projection.weight, head.projection.bias)',
    );
  });

  test.each(['model_state', 'blobs'])('loads from the key %s if other weights are beside it', async (key) => {
    const path = at('x.pyth');
    await writePth(path, { other: new Map([...whole].slice(1)), [key]: whole });
    expect(load(path, slowFast).misfit).toBeNull();
    expect(describeWeightFile(path).weightsKey).toBe(key);
  });

  test('of several processes has a prefix that is ignored', async () => {
    const path = at('x.pyth');
    await writePth(path, {
      model_state: new Map(Array.from(whole, ([name, tensor]) => [`module.${name}`, tensor])),
    });
    expect(load(path, slowFast).misfit).toBeNull();
    expect(describeWeightFile(path).loading).toContain('the prefix "module." of every name is ignored');
  });
});

describe('weights of another network than a ResNet', () => {
  const files: [string, ModelShapes, () => Map<string, HostTensor>, string][] = [
    [
      'SlowFast for SlowOnly',
      slowOnly,
      () => backboneOf(slowFast),
      'F: holds weights of SlowFast, and this model is SlowOnly. Use weights of SlowOnly, or a configuration of SlowFast, ' +
        'such as config_files/PySlowfast-R50-K400-8x8.yaml.',
    ],
    [
      'SlowOnly for SlowFast',
      slowFast,
      () => backboneOf(slowOnly),
      'F: holds weights of SlowOnly, and this model is SlowFast. Use weights of SlowFast, or a configuration of SlowOnly, ' +
        'such as config_files/PySlowonly-R50-K400-4x16.yaml.',
    ],
    [
      'a 2-D network',
      slowOnly,
      () => backboneOf(slowOnly).set('s1.pathway0_stem.conv.weight', smallTensor(4, 3, 7, 7)),
      'F: holds weights of an image model: the kernel of its stem is [4,3,7,7], and that of this model, which sees several ' +
        'frames, is [4,3,1,7,7]. Use weights that were pre-trained on video.',
    ],
    [
      'a ViT for SlowOnly',
      slowOnly,
      () => modelTensors(tinyConfig()),
      'F: holds weights of a ViT, and this model is SlowOnly: the file has ',
    ],
    [
      'a ResNet with other names',
      slowOnly,
      () =>
        new Map([
          ['layer1.0.conv1.weight', smallTensor(4, 3, 1, 2, 2)],
          ['layer1.0.bn1.weight', smallTensor(4)],
        ]),
      'F: holds weights of a ResNet of another program, and this model is SlowOnly: the file has 2 tensors with 52 numbers, ' +
        'and its first kernel is layer1.0.conv1.weight [4,3,1,2,2]. Use weights of SlowOnly from PySlowFast, a .pkl or .pyth file.',
    ],
    [
      'SlowFast for a ViT',
      new Map(new Detector(tinyConfig()).namedState()),
      () => backboneOf(slowFast),
      'F: holds weights of a SlowFast network, and this model is a ViT: ',
    ],
  ];
  test.each(files)('is said of %s', async (_, shapes, state, message) => {
    const path = at('x.pth');
    await writePth(path, { model: state() });
    expect(failure(path, shapes)).toContain(message);
  });

  test("is said of Caffe2's files for a ViT", () => {
    const message = failure(
      pickleFile(blobsOf(backboneOf(slowFast))),
      new Map(new Detector(tinyConfig()).namedState()),
    );
    expect(message).toContain('F: holds weights of a SlowFast network, and this model is a ViT: ');
  });
});

test('pickles of anything else are refused', () => {
  const path = at('x.pkl');
  writeFileSync(path, pickleOf([0x80, 2], '}', text('epoch'), 'K', [3], 's.'));
  expect(failure(path, slowOnly)).toBe('F: holds no weights; its keys are: epoch');
  writeFileSync(path, pickleOf([0x80, 2], 'cnumpy.core.multiarray\n_reconstruct\n.'));
  expect(failure(path, slowOnly)).toMatch(/holds an object of class numpy\.core\.multiarray\._reconstruct/);
});

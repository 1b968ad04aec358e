/** @file Tests of loading configurations: precedence, decoding, and the message about each kind of mistake. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { ConfigError } from '../errors.js';
import { formatPythonLiteral } from '../formats/python/literals.js';
import { PyFloat } from '../formats/python/values.js';
import { type Config, configFromOverrides, defaultConfig, defineConfig, loadConfig } from './index.js';
import { RULES } from './rules.js';
import { FIELDS, getValue } from './schema/index.js';

const files = temporaryFiles();
const FILES = fileURLToPath(new URL('../../config_files/', import.meta.url));

/** A minimal configuration that can run: 4 frames give 2 time steps. */
const BASE = 'MODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}, STM: {TEMPORAL_POINTS: 2}}';

function write(text: string): string {
  return files.file('config.yaml', text);
}

function load(text: string, ...overrides: string[]) {
  return loadConfig(write(text), overrides);
}

/** The message of the error, without the folder of the file. */
function errorOf(text: string, ...overrides: string[]): string {
  try {
    load(text, ...overrides);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).exitCode).toBe(2);
    return (error as ConfigError).message.replaceAll(`${files.at()}/`, '');
  }
  return expect.fail('was accepted');
}

describe('precedence and origins', () => {
  it('lets the file override the defaults, and later arguments override earlier ones and the file', () => {
    const file = write(`${BASE}\nSOLVER:\n  BASE_LR: 1e-3\n  MAX_EPOCH: 3\n  STEPS: (1, 2)`);
    const { config, origins } = loadConfig(file, ['SOLVER.MAX_EPOCH', '4', 'SOLVER.MAX_EPOCH', '5']);
    expect(config.SOLVER).toMatchObject({ BASE_LR: 1e-3, MAX_EPOCH: 5, STEPS: [1, 2], GAMMA: 0.1 });
    expect(origins.get('SOLVER.BASE_LR')).toEqual({ source: 'file', file, line: 3 });
    expect(origins.get('SOLVER.MAX_EPOCH')).toEqual({ source: 'override' });
    expect(origins.get('SOLVER.GAMMA')).toEqual({ source: 'default' });
    expect([...origins.keys()]).toEqual([...FIELDS.keys()]);
  });

  it('leaves everything unchanged for a section without keys', () => {
    expect(load(`${BASE}\nSOLVER:\n  # BASE_LR: 1\nViT: {}\n`).config.SOLVER).toEqual(defaultConfig().SOLVER);
  });
});

/** The text of a file that can run and sets one more key. */
function fileWith(path: string, text: string): string {
  if (path.startsWith('MODEL.STM.')) return `${BLOCKS}\n    ${path.slice(10)}: ${text}`;
  const [section, key] = path.split('.');
  return key ? `${section}:\n  ${key}: ${text}\n${BLOCKS}` : `${section}: ${text}\n${BLOCKS}`;
}

const BLOCKS = `MODEL:
  BACKBONE:
    CONV_BODY: MAE-ViT-B
  STM:
    TEMPORAL_POINTS: 2`;

describe('loadConfig', () => {
  it.each<[string, string, unknown]>([
    ['SOLVER.BASE_LR', '1e-4', 1e-4],
    ['SOLVER.BASE_LR', '1', 1],
    ['SOLVER.STEPS', '(5, 8)', [5, 8]],
    ['SOLVER.STEPS', '[5, 8.5]', [5, 8.5]],
    ['SOLVER.STEPS', '5, 8', [5, 8]],
    ['SOLVER.STEPS', '()', []],
    ['SOLVER.OPTIMIZING_METHOD', 'AdamW', 'adamw'],
    ['SOLVER.OPTIMIZING_METHOD', 'SGD', 'sgd'],
    ['MODEL.STM.ACTIVATION', 'relu', 'ReLU'],
    ['ViT.QK_SCALE', '0.5', 0.5],
    ['ViT.QK_SCALE', 'None', null],
    ['ViT.USE_CHECKPOINT', 'False', false],
    ['ViT.NO_WEIGHT_DECAY', '()', []],
    ['ViT.NO_WEIGHT_DECAY', "('pos_embed', '12')", ['pos_embed', '12']],
    [
      'AVA.TRAIN_PCA_EIGVEC',
      '((1, 0, 0), [0, 1, 0.5], (0, 0, 1))',
      [
        [1, 0, 0],
        [0, 1, 0.5],
        [0, 0, 1],
      ],
    ],
    ['OUTPUT_DIR', 'runs/2024', 'runs/2024'],
  ])('reads %s: %s in a file and as arguments', (path, text, value) => {
    expect(getValue(load(fileWith(path, text)).config, path)).toEqual(value);
    expect(getValue(load(BASE, path, text).config, path)).toEqual(value);
  });

  it.each<[string, string, unknown]>([
    ['SOLVER.BASE_LR', '"1e-4"', 1e-4],
    ['SOLVER.BETAS', '[0.9, 99e-2]', [0.9, 0.99]],
    ['ViT.QK_SCALE', 'null', null],
    ['ViT.USE_CHECKPOINT', '"False"', false],
    ['ViT.USE_CHECKPOINT', 'off', false],
    ['ViT.NO_WEIGHT_DECAY', '[pos_embed, "12"]', ['pos_embed', '12']],
    ['OUTPUT_DIR', `"'12'"`, '12'],
    ['ViT.DEPTH', '010', 8],
  ])('reads %s: %s in a file', (path, text, value) => {
    expect(getValue(load(fileWith(path, text)).config, path)).toEqual(value);
  });
});

describe('a mistake in a single key', () => {
  it.each<[string, string, string]>([
    ['ViT.DEPTH', '0', 'expected int ≥ 1, found 0'],
    ['ViT.DEPTH', '12.0', 'expected int ≥ 1, found 12.0'],
    ['ViT.DEPTH', '1e1', 'expected int ≥ 1, found 10.0'],
    ['ViT.DEPTH', 'True', 'expected int ≥ 1, found True'],
    ['ViT.DEPTH', 'twelve', "expected int ≥ 1, found 'twelve'"],
    ['ViT.DEPTH', '9'.repeat(20), `expected int ≥ 1, found ${'9'.repeat(20)}`],
    ['ViT.DEPTH', '[12]', 'expected int ≥ 1, found [12]'],
    ['ViT.DEPTH', '{"a": 1}', "expected int ≥ 1, found {'a': 1}"],
    ['ViT.DEPTH', 'None', 'expected int ≥ 1, found None; omit the key to use its default, 12'],
    ['ViT.DROP_RATE', '1.0', 'expected float in [0, 1), found 1.0'],
    ['ViT.DROP_RATE', '-0.1', 'expected float in [0, 1), found -0.1'],
    ['ViT.QK_SCALE', '0', 'expected float > 0 or None, found 0'],
    ['ViT.QK_SCALE', 'auto', "expected float > 0 or None, found 'auto'"],
    ['ViT.USE_CHECKPOINT', '1', 'expected True or False, found 1'],
    ['ViT.LAYER_DECAY', '0', 'expected float > 0, found 0'],
    ['SOLVER.BASE_LR', '1e400', 'expected float > 0, found inf'],
    ['SOLVER.BASE_LR', 'False', 'expected float > 0, found False'],
    ['SOLVER.BETAS', '(0.9, 1)', 'expected list of 2 × float in [0, 1), found (0.9, 1)'],
    ['SOLVER.BETAS', '(0.9,)', 'expected list of 2 × float in [0, 1), found (0.9,)'],
    ['SOLVER.BETAS', '0.9', 'expected list of 2 × float in [0, 1), found 0.9'],
    ['SOLVER.WARMUP_METHOD', 'cosine', "expected 'linear' or 'constant', found 'cosine'"],
    [
      'SOLVER.OPTIMIZING_METHOD',
      'adamax',
      "expected one of 'adamw', 'adam', 'sgd', found 'adamax'; nearest: adam",
    ],
    ['SOLVER.GAMMA', '0', 'expected float > 0, found 0'],
    ['DATA.STD', '(0.2, 0, 0.2)', 'expected list of 3 × float > 0, found (0.2, 0, 0.2)'],
    ['DATA.MEAN', "('a', 1, 2)", "expected list of 3 × float, found ('a', 1, 2)"],
    ['DATA.TRAIN_MIN_SCALES', '[]', 'expected non-empty list of int ≥ 1, found []'],
    ['DATA.TRAIN_MIN_SCALES', '[256.0]', 'expected non-empty list of int ≥ 1, found [256.0]'],
    ['AVA.TRAIN_LISTS', '[]', 'expected non-empty list of non-empty string, found []'],
    [
      'AVA.TRAIN_GT_BOX_LISTS',
      'train.csv',
      "expected non-empty list of non-empty string, found 'train.csv'; write it as a list: \"['train.csv']\"",
    ],
    [
      'OUTPUT_DIR',
      '12',
      `expected non-empty string, found 12; to keep it as text, write it in two kinds of quotes: "'12'"`,
    ],
    ['MODEL.STM.PERSON_THRESHOLD', '1.5', 'expected float in [0, 1], found 1.5'],
    ['MODEL.STM.ACTIVATION', 'GELU', "expected 'ReLU', found 'GELU'; nearest: ReLU"],
  ])('is refused: %s %s', (path, text, message) => {
    expect(errorOf(BASE, path, text)).toBe(`command line: ${path}: ${message}`);
  });

  it('is reported with long values shortened', () => {
    expect(errorOf(BASE, 'ViT.DEPTH', 'x'.repeat(5000)).length).toBeLessThan(200);
  });
});

describe('mistakes in a file', () => {
  it('are reported all at once, by line, with the nearest key', () => {
    const text = `MODEL:
  BACKBONE:
    CONV_BODY: MAE-VIT-B
  STM:
    TEMPORAL_POINT: 2
    NUM_STAGES: many
SOLVER:
  DEPTH: 3
  base_lr: 1
  STEPS: (8, 5)
  STEPS: (9, 5)
ViT: 5
DATASETS: {A: 1}
SOLVR:
  BASE_LR: 1
_BASE_: other.yaml
`;
    expect(errorOf(text, 'ViT.DEPTH', '0').split('\n')).toEqual([
      '11 problems in the configuration:',
      "  config.yaml:3: MODEL.BACKBONE.CONV_BODY: expected one of 'MAE-ViT-B', 'MAE-ViT-L', 'PySlowonly', 'PySlowfast-R50', 'PySlowfast-R101', found 'MAE-VIT-B'; nearest: MAE-ViT-B",
      '  config.yaml:5: MODEL.STM.TEMPORAL_POINT: unknown key; did you mean MODEL.STM.TEMPORAL_POINTS?',
      "  config.yaml:6: MODEL.STM.NUM_STAGES: expected int ≥ 1, found 'many'",
      '  config.yaml:8: SOLVER.DEPTH: unknown key; did you mean RESNET.DEPTH or ViT.DEPTH?',
      '  config.yaml:9: SOLVER.base_lr: unknown key; did you mean SOLVER.BASE_LR?',
      '  config.yaml:11: SOLVER.STEPS: is set again here, after line 10; keep one of them',
      '  config.yaml:12: ViT: is a section: expected a mapping of keys, found 5',
      '  config.yaml:13: DATASETS: unknown key; did you mean DATA.DATASETS?',
      '  config.yaml:14: SOLVR: unknown key; did you mean SOLVER?',
      '  config.yaml:16: _BASE_: unknown key; a configuration cannot include another file: copy the settings of that file into this one',
      '  command line: ViT.DEPTH: expected int ≥ 1, found 0',
    ]);
  });

  it.each([
    ['SOLVER.BASE_RL', 'SOLVER.BASE_LR'],
    ['SOLVER.BAS_LR', 'SOLVER.BASE_LR'],
    ['SOLVER.BASE_LRR', 'SOLVER.BASE_LR'],
    ['solver.base_lr', 'SOLVER.BASE_LR'],
    ['SOLVER_BASE_LR', 'SOLVER.BASE_LR'],
    ['BASE_LR', 'SOLVER.BASE_LR'],
    ['SOVLER.BASE_LR', 'SOLVER.BASE_LR'],
    ['MODEL.CONV_BODY', 'MODEL.BACKBONE.CONV_BODY'],
    ['WEIGHT_DECAY', 'ViT.WEIGHT_DECAY or SOLVER.WEIGHT_DECAY'],
    ['VIT.DEPTH', 'ViT.DEPTH'],
  ])('suggest the key that %s is close to', (wrong, right) => {
    expect(errorOf(BASE, wrong, '1')).toBe(`command line: ${wrong}: unknown key; did you mean ${right}?`);
  });

  it.each([
    'ViT.WIDTH',
    'SOLVER.BATCH_SIZE',
    'BATCH_SIZE',
    'LR',
    'MODEL.ARCH',
    'TRAIN.ENABLE',
    'NUM_GPUS',
    'X',
  ])('suggest nothing for %s, which is close to no key', (wrong) => {
    expect(errorOf(BASE, wrong, '1')).toBe(
      `command line: ${wrong}: unknown key; docs/config-reference.md lists all keys`,
    );
  });

  it('names a file that cannot be read', () => {
    expect(() => loadConfig(files.at('none.yaml'))).toThrow(`${files.at('none.yaml')}: no such file`);
    expect(errorOf('A: [')).toMatch(/^config\.yaml:\d+: not valid YAML: /);
  });

  it('are counted and not listed if many keys are unknown', () => {
    const message = errorOf(`${BASE}\n${Array.from({ length: 20_000 }, (_, i) => `K${i}: 1`).join('\n')}`);
    expect(message.split('\n')).toHaveLength(102);
    expect(message).toMatch(/^20000 problems .*… and 19900 more$/s);
  });
});

describe('the rules between keys', () => {
  it('refuse the default backbone, which cannot be built', () => {
    expect(errorOf('SOLVER: {BASE_LR: 1}', 'MODEL.STM.TEMPORAL_POINTS', '2')).toBe(
      'config.yaml: MODEL.BACKBONE.CONV_BODY: must be set to MAE-ViT-B or MAE-ViT-L or PySlowonly or PySlowfast-R50 or PySlowfast-R101: its default, Slowfast-Resnet50, cannot be built',
    );
  });

  it('name every key involved and where it was set', () => {
    expect(errorOf(`${BASE}\nViT:\n  EMBED_DIM: 100`)).toBe(
      'config.yaml:3: ViT.EMBED_DIM: expected a multiple of ViT.NUM_HEADS (every head gets an equal part), e.g. 96 or 108; found ViT.EMBED_DIM 100 (config.yaml:3), ViT.NUM_HEADS 12 (default)',
    );
  });

  const BREAKS: [string, string[]][] = [
    ['MODEL.BACKBONE.CONV_BODY', ['MODEL.BACKBONE.CONV_BODY', 'I3D-Resnet50']],
    ['MODEL.BACKBONE.PATHWAYS', ['MODEL.BACKBONE.PATHWAYS', '2']],
    ['ViT.EMBED_DIM', ['ViT.EMBED_DIM', '100']],
    ['ViT.EMBED_DIM', ['ViT.EMBED_DIM', '18', 'ViT.NUM_HEADS', '3']],
    ['ViT.PATCH_SIZE', ['ViT.PATCH_SIZE', '14']],
    ['ViT.IN_CHANS', ['ViT.IN_CHANS', '1']],
    ['ViT.PRETRAIN_IMG_SIZE', ['ViT.PRETRAIN_IMG_SIZE', '200']],
    ['DATA.NUM_FRAMES', ['DATA.NUM_FRAMES', '5']],
    ['DATA.NUM_FRAMES', ['DATA.NUM_FRAMES', '6', 'MODEL.STM.TEMPORAL_POINTS', '3']],
    ['MODEL.STM.TEMPORAL_POINTS', ['MODEL.STM.TEMPORAL_POINTS', '4']],
    ['MODEL.STM.HIDDEN_DIM', ['MODEL.STM.HIDDEN_DIM', '256', 'MODEL.STM.NUM_HEADS', '6']],
    ['MODEL.STM.HIDDEN_DIM', ['MODEL.STM.HIDDEN_DIM', '256', 'MODEL.STM.N_GROUPS', '3']],
    ['MODEL.STM.HIDDEN_DIM', ['MODEL.STM.HIDDEN_DIM', '20', 'MODEL.STM.NUM_HEADS', '4']],
    ['MODEL.STM.MEM_ACTIVE', ['MODEL.STM.MEM_ACTIVE', 'True']],
    ['DATALOADER.SIZE_DIVISIBILITY', ['DATALOADER.SIZE_DIVISIBILITY', '48']],
    ['DATA.DATASETS', ['DATA.DATASETS', "['ava_kinetics']"]],
    ['AVA.LAST_SECOND', ['AVA.FIRST_SECOND', '2000']],
    ['SOLVER.STEPS', ['SOLVER.STEPS', '(8, 5)']],
    [
      'SOLVER.NESTEROV',
      ['SOLVER.NESTEROV', 'True', 'SOLVER.OPTIMIZING_METHOD', 'sgd', 'SOLVER.MOMENTUM', '0'],
    ],
  ];

  it.each(BREAKS)('report %s for %j', (key, overrides) => {
    expect(errorOf(BASE, ...overrides)).toMatch(new RegExp(`^command line: ${key}: .*; found [^;]*$`));
  });

  const SLOWFAST_BREAKS: [string, string[]][] = [
    ['DATA.INPUT_CHANNEL_NUM', ['DATA.INPUT_CHANNEL_NUM', '[3]']],
    ['DATA.INPUT_CHANNEL_NUM', ['DATA.INPUT_CHANNEL_NUM', '[3, 1]']],
    ['RESNET.NUM_BLOCK_TEMP_KERNEL', ['RESNET.NUM_BLOCK_TEMP_KERNEL', '[[3], [4], [6], [3]]']],
    ['RESNET.SPATIAL_STRIDES', ['RESNET.SPATIAL_STRIDES', '[[1], [2], [2], [2]]']],
    ['RESNET.SPATIAL_DILATIONS', ['RESNET.SPATIAL_DILATIONS', '[[1], [1], [1], [1]]']],
    ['NONLOCAL.LOCATION', ['NONLOCAL.LOCATION', '[[[]], [[]], [[]], [[]]]']],
    ['NONLOCAL.GROUP', ['NONLOCAL.GROUP', '[[1], [1], [1], [1]]']],
    ['RESNET.NUM_BLOCK_TEMP_KERNEL', ['RESNET.NUM_BLOCK_TEMP_KERNEL', '[[3, 3], [5, 4], [6, 6], [3, 3]]']],
    ['RESNET.SPATIAL_STRIDES', ['RESNET.SPATIAL_STRIDES', '[[1, 1], [2, 1], [2, 2], [2, 2]]']],
    ['NONLOCAL.POOL', ['NONLOCAL.POOL', '[[], [], [[2, 2]], []]']],
    ['NONLOCAL.GROUP', ['NONLOCAL.GROUP', '[[1, 1], [1, 1], [3, 1], [1, 1]]']],
    [
      'NONLOCAL.POOL',
      ['NONLOCAL.POOL', '[[], [], [[4, 2, 2]], []]', 'NONLOCAL.GROUP', '[[1, 1], [1, 1], [4, 1], [1, 1]]'],
    ],
    ['DATA.NUM_FRAMES', ['DATA.NUM_FRAMES', '30']],
    ['SLOWFAST.FUSION_KERNEL_SZ', ['SLOWFAST.FUSION_KERNEL_SZ', '4']],
    ['SLOWFAST.BETA_INV', ['SLOWFAST.FUSION_CONV_CHANNEL_RATIO', '3']],
    ['RESNET.WIDTH_PER_GROUP', ['RESNET.WIDTH_PER_GROUP', '60']],
    ['MODEL.STM.TEMPORAL_POINTS', ['MODEL.STM.TEMPORAL_POINTS', '4']],
  ];
  const SLOWFAST = join(FILES, 'PySlowfast-R101-NL-K600-8x8.yaml');

  it.each(SLOWFAST_BREAKS)('report %s for %j with SlowFast', (key, overrides) => {
    const line = new RegExp(`command line: ${key.replaceAll('.', '\\.')}: .*; found [^;]*$`);
    expect(() => loadConfig(SLOWFAST, overrides)).toThrow(line);
  });

  it('report MODEL.STM.TEMPORAL_POINTS with SlowOnly', () => {
    const file = join(FILES, 'PySlowonly-R50-K400-4x16.yaml');
    expect(() => loadConfig(file, ['DATA.NUM_FRAMES', '8'])).toThrow(
      'expected 8, the number of time steps (NUM_FRAMES)',
    );
  });

  it('are each broken by one of these cases', () => {
    const vit = configFromOverrides({
      'MODEL.BACKBONE.CONV_BODY': 'MAE-ViT-B',
      'MODEL.STM.TEMPORAL_POINTS': 2,
    });
    const slowfast = loadConfig(SLOWFAST).config;
    const slowonly = loadConfig(join(FILES, 'PySlowonly-R50-K400-4x16.yaml')).config;
    const brokenBy = (base: Config, words: readonly string[]) => {
      const values = Object.fromEntries(
        Array.from({ length: words.length / 2 }, (_, i) => [words[2 * i], words[2 * i + 1]]),
      );
      return RULES.findIndex((rule) => !rule.holds(configFromOverrides(values, base)));
    };
    const broken = [
      ...BREAKS.map(([, words]) => brokenBy(vit, words)),
      ...SLOWFAST_BREAKS.map(([, words]) => brokenBy(slowfast, words)),
      brokenBy(slowonly, ['DATA.NUM_FRAMES', '8']),
    ];
    expect(new Set(broken)).toEqual(new Set(RULES.keys()));
  });

  it.each([
    ['DATALOADER.SIZE_DIVISIBILITY', '0'],
    ['DATALOADER.SIZE_DIVISIBILITY', '16'],
    ['DATA.DATASETS', "['coco']"],
    ['SOLVER.STEPS', '(1, 0.5)'],
  ])('refuse %s %s too', (key, text) => {
    expect(errorOf(BASE, key, text)).toContain(`${key}: expected`);
  });

  it.each([
    ['DATALOADER.SIZE_DIVISIBILITY', '64'],
    ['SOLVER.STEPS', '(2, 2, 7.5)'],
    ['DATA.DATASETS', "['ava_v2.1']"],
    ['SOLVER.NESTEROV', 'True'],
    ['MODEL.STM.NUM_CLS', '0'],
  ])('allow %s %s', (key, text) => {
    expect(() => load(BASE, key, text)).not.toThrow();
  });

  it('say nothing of defaults that contradict each other', () => {
    const missing =
      /^config\.yaml: MODEL\.BACKBONE\.CONV_BODY: must be set to MAE-ViT-B or MAE-ViT-L or [^\n]*$/;
    for (const text of ['{}', 'MODEL: {}', 'DATA: {NUM_FRAMES: 16}', 'MODEL: {STM: {NUM_STAGES: 3}}'])
      expect(errorOf(text)).toMatch(missing);
  });

  it('take the time steps of a ViT from the clip if nobody sets them', () => {
    const steps = (text: string) => load(text).config.MODEL.STM.TEMPORAL_POINTS;
    expect(steps('MODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}}')).toBe(2);
    expect(steps('MODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}}\nDATA: {NUM_FRAMES: 16}')).toBe(8);
  });

  it('are not applied to other backbones', () => {
    const text =
      'MODEL: {BACKBONE: {CONV_BODY: PySlowonly}, STM: {TEMPORAL_POINTS: 33}}\nDATA: {NUM_FRAMES: 33}\n' +
      'ViT: {EMBED_DIM: 100, PATCH_SIZE: 14, IN_CHANS: 1, PRETRAIN_IMG_SIZE: 200}\nSLOWFAST: {FUSION_KERNEL_SZ: 4}';
    expect(() => load(text)).not.toThrow();
  });

  it('refuse names that the official code lists and cannot build', () => {
    const text = 'MODEL: {BACKBONE: {CONV_BODY: Slowfast-Resnet50, PATHWAYS: 2}, STM: {TEMPORAL_POINTS: 8}}';
    expect(errorOf(text)).toMatch(
      /^config\.yaml:1: MODEL\.BACKBONE\.CONV_BODY: expected MAE-ViT-B or .* cannot build them either; found [^\n]*$/,
    );
  });

  it.each([
    ['a misspelt key', 'MODEL: {BACKBONE: {CONV_BDOY: MAE-ViT-B}}', 'did you mean MODEL.BACKBONE.CONV_BODY?'],
    ['a misspelt section', 'MODLE: {BACKBONE: {CONV_BODY: MAE-ViT-B}, X: 1, Y: 2}', 'did you mean MODEL?'],
    ['a key without its section', 'CONV_BODY: MAE-ViT-B', 'did you mean MODEL.BACKBONE.CONV_BODY?'],
    ['a section that is a value', 'MODEL: MAE-ViT-B', 'is a section'],
    ['a repeated key', `${BASE}\nSOLVER: {STEPS: [1, 2], STEPS: [2, 1]}`, 'is set again here'],
    ['a wrong word', 'MODEL: {BACKBONE: {CONV_BODY: ViT-B}}\nViT: {EMBED_DIM: 100}', 'nearest: MAE-ViT-B'],
    ['a wrong number', `${BASE}\nViT: {EMBED_DIM: 18, NUM_HEADS: many}`, 'ViT.NUM_HEADS: expected int'],
    ['a number that breaks two rules', `${BASE}\nViT: {EMBED_DIM: 101}`, 'multiple of ViT.NUM_HEADS'],
    [
      'an odd number of frames',
      'MODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}, STM: {TEMPORAL_POINTS: 8}}\nDATA: {NUM_FRAMES: 15}',
      'DATA.NUM_FRAMES: expected a multiple of 4',
    ],
  ])('add nothing to %s', (_, text, message) => {
    const error = errorOf(text);
    expect(error).toContain(message);
    expect(error).not.toContain('\n');
  });

  it('are not checked for keys that are wrong by themselves', () => {
    expect(errorOf(BASE, 'ViT.NUM_HEADS', '0')).toBe(
      'command line: ViT.NUM_HEADS: expected int ≥ 1, found 0',
    );
  });
});

describe('defineConfig', () => {
  it('has defaults that can run', () => {
    const { config, warnings } = defineConfig();
    expect(warnings).toEqual([]);
    expect(config).toEqual({
      ...defaultConfig(),
      DATA: { ...defaultConfig().DATA, NUM_FRAMES: 16, SAMPLING_RATE: 4 },
      MODEL: {
        ...defaultConfig().MODEL,
        BACKBONE: { ...defaultConfig().MODEL.BACKBONE, CONV_BODY: 'MAE-ViT-B' },
        STM: { ...defaultConfig().MODEL.STM, TEMPORAL_POINTS: 8 },
      },
    });
  });

  it('accepts values as they are, and derives the time steps', () => {
    const { config, origins } = defineConfig({
      DATA: { NUM_FRAMES: 8 },
      SOLVER: { STEPS: [3, 5], OPTIMIZING_METHOD: 'sgd', BASE_LR: undefined },
      OUTPUT_DIR: '2024',
    });
    expect(config.MODEL.STM.TEMPORAL_POINTS).toBe(4);
    expect(config.SOLVER).toMatchObject({ STEPS: [3, 5], OPTIMIZING_METHOD: 'sgd', BASE_LR: 2e-4 });
    expect(config.OUTPUT_DIR).toBe('2024');
    expect(origins.get('OUTPUT_DIR')).toEqual({ source: 'program' });
    expect(origins.get('SOLVER.GAMMA')).toEqual({ source: 'default' });
  });

  it('reports unknown keys, wrong values and broken rules together', () => {
    const values = { ViT: { DEPTH: 0, WIDTH: 5, EMBED_DIM: 100 }, MODEL: 5, SOLVER: [1] } as object;
    expect(() => defineConfig(values)).toThrow(
      [
        '4 problems in the configuration:',
        '  program: ViT.WIDTH: unknown key; docs/config-reference.md lists all keys',
        '  program: MODEL: is a section: expected its keys, found 5',
        '  program: SOLVER: is a section: expected its keys, found [1]',
        '  program: ViT.DEPTH: expected int ≥ 1, found 0',
      ].join('\n'),
    );
  });

  it('refuses a number of frames that is not a whole number of time steps', () => {
    expect(() => defineConfig({ DATA: { NUM_FRAMES: 5 } })).toThrow(
      'DATA.NUM_FRAMES: expected a multiple of 4',
    );
  });
});

describe('configFromOverrides', () => {
  it('changes a copy of the base', () => {
    const base = configFromOverrides({ 'ViT.DEPTH': 2 });
    const config = configFromOverrides({ 'SOLVER.STEPS': [3, 5], 'ViT.LAYER_DECAY': 1 }, base);
    expect([config.ViT.DEPTH, config.ViT.LAYER_DECAY, config.SOLVER.STEPS]).toEqual([2, 1, [3, 5]]);
    expect(base.SOLVER.STEPS).toEqual([5, 8]);
  });

  it('checks keys and values, but not the rules between keys', () => {
    expect(configFromOverrides({ 'ViT.EMBED_DIM': 100 }).ViT.EMBED_DIM).toBe(100);
    expect(() => configFromOverrides({ 'ViT.DEPTH': 0, 'ViT.X': 1, 'SOLVER.GAMMA': true })).toThrow(
      /3 problems .*ViT\.X: unknown key.*ViT\.DEPTH: expected int ≥ 1, found 0.*SOLVER\.GAMMA: expected float > 0, found True/s,
    );
  });
});

describe('an assignment of a random text', () => {
  const value = fc.oneof(
    fc.integer({ min: -3, max: 40 }),
    // Python's literals have no word for an infinity or a NaN: "inf" and "nan" are texts.
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => new PyFloat(number)),
    fc.boolean(),
    fc.constantFrom(null, 'linear', 'adamw', '', 'x'),
    fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant('y'), fc.array(fc.integer())), {
      maxLength: 4,
    }),
  );
  const assignment = fc.tuple(fc.constantFrom(...FIELDS.keys()), value);

  it('is either taken as it is or reported with its key', () => {
    const file = write(BASE);
    fc.assert(
      fc.property(fc.array(assignment, { minLength: 1, maxLength: 4 }), (pairs) => {
        const last = new Map(pairs);
        const words = pairs.flatMap(([key, item]) => [key, formatPythonLiteral(item)]);
        let message = '';
        try {
          const { config, origins } = loadConfig(file, words);
          for (const [key, item] of last) {
            expect(getValue(config, key)).toEqual(item instanceof PyFloat ? item.value : item);
            expect(origins.get(key)?.source).toBe('override');
          }
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          message = error.message;
        }
        if (message) expect([...last.keys()].some((key) => message.includes(key))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

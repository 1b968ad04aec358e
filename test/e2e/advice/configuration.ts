/** @file Advice about settings. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/index.js';
import { makeLrScheduler, makeOptimizer } from '../../../src/solver/index.js';
import { bareParameter, fakeModel, solverConfig } from '../../support/solver_fixtures.js';
import { type Advice, found, outcomeOf, settings } from './advice.js';

/** Settings that are refused, and the ones that the message asks for. */
function set(says: string, wrong: string, right: (text: string) => string): Advice {
  return {
    says,
    meet: () => settings(...wrong.split(' ')),
    follow: (_, text) => settings(...right(text).split(' ')),
  };
}

const SLOWFAST = 'config_files/PySlowfast-R101-NL-K600-8x8.yaml';

/** Settings of a model with two pathways that are refused, and the ones that the message asks for. */
function setSlowFast(says: string, wrong: string, right: (text: string) => string): Advice {
  const load = (words: string) => outcomeOf(() => loadConfig(SLOWFAST, words.split(' ')).warnings.join('\n'));
  return { says, meet: () => load(wrong), follow: (_, text) => load(right(text)) };
}

/** A number that the message gives as an example. */
const example = (text: string) => found(text, /e\.g\. \(?(\d+)/);

/** A YAML file that is refused, and what the message makes of it. */
function file(says: string, wrong: string, right: (text: string) => string): Advice {
  const load = (folder: string, text: string) => {
    const path = join(folder, 'config.yaml');
    writeFileSync(path, `MODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}, STM: {TEMPORAL_POINTS: 2}}\n${text}`);
    return outcomeOf(() => loadConfig(path).warnings.join('\n'));
  };
  return {
    says,
    meet: (folder) => load(folder, wrong),
    follow: (folder, text) => load(folder, right(text)),
  };
}

/** Settings of the optimizer and the schedule as a program would pass them, past the check of files. */
function solver(says: string, wrong: Record<string, unknown>, right: Record<string, unknown>): Advice {
  const make = (changes: Record<string, unknown>) =>
    outcomeOf(() => {
      const cfg = solverConfig(changes);
      makeLrScheduler(cfg, makeOptimizer(cfg, fakeModel([['head.weight', bareParameter([2])]])));
    });
  return { says, meet: () => make(wrong), follow: () => make(right) };
}

/** Weights that are given as the configuration. */
const WEIGHTS_AS_CONFIG: Advice = {
  says: 'is a weight file, not a configuration',
  meet: (folder) => {
    const path = join(folder, 'best.safetensors');
    writeFileSync(path, Buffer.from('\x12\0\0\0\0\0\0\0{"__metadata__":{}}', 'latin1'));
    return outcomeOf(() => loadConfig(path));
  },
  follow: (_, text) => {
    const start = found(text, /start from (\S+)/);
    const words = found(text, /give the weights after it: (.*)$/).split(' ');
    return outcomeOf(() => loadConfig(start, words).config.MODEL.WEIGHT);
  },
};

export const CONFIGURATION: readonly Advice[] = [
  WEIGHTS_AS_CONFIG,
  set('multiple of ViT.NUM_HEADS', 'ViT.EMBED_DIM 100', (text) => `ViT.EMBED_DIM ${example(text)}`),
  set(
    'expected a multiple of 4 (',
    'ViT.EMBED_DIM 18 ViT.NUM_HEADS 9',
    (text) => `ViT.EMBED_DIM ${example(text)} ViT.NUM_HEADS 9`,
  ),
  set(
    'multiple of ViT.PATCH_SIZE',
    'ViT.PRETRAIN_IMG_SIZE 200',
    (text) => `ViT.PRETRAIN_IMG_SIZE ${example(text)}`,
  ),
  set(
    'an even number of time steps, each of ViT.TUBELET_SIZE',
    'DATA.NUM_FRAMES 5',
    (text) => `DATA.NUM_FRAMES ${found(text, /multiple of (\d+)/)} MODEL.STM.TEMPORAL_POINTS 2`,
  ),
  set(
    'expected an even number of time steps (',
    'DATA.NUM_FRAMES 6 MODEL.STM.TEMPORAL_POINTS 3',
    (text) => `DATA.NUM_FRAMES ${found(text, /multiple of (\d+)/)} MODEL.STM.TEMPORAL_POINTS 2`,
  ),
  set(
    'the number of time steps (NUM_FRAMES / TUBELET_SIZE); found',
    'MODEL.STM.TEMPORAL_POINTS 5',
    (text) => `MODEL.STM.TEMPORAL_POINTS ${found(text, /expected (\d+)/)}`,
  ),
  setSlowFast(
    'multiple of SLOWFAST.ALPHA',
    'DATA.NUM_FRAMES 34',
    (text) => `DATA.NUM_FRAMES ${example(text)} MODEL.STM.TEMPORAL_POINTS ${Number(example(text)) / 4}`,
  ),
  setSlowFast(
    'multiple of SLOWFAST.FUSION_CONV_CHANNEL_RATIO',
    'SLOWFAST.FUSION_CONV_CHANNEL_RATIO 4 SLOWFAST.BETA_INV 10 RESNET.WIDTH_PER_GROUP 40',
    (text) =>
      `SLOWFAST.FUSION_CONV_CHANNEL_RATIO 4 SLOWFAST.BETA_INV ${example(text)} RESNET.WIDTH_PER_GROUP 40`,
  ),
  setSlowFast(
    'multiple of SLOWFAST.BETA_INV',
    'RESNET.WIDTH_PER_GROUP 60',
    (text) => `RESNET.WIDTH_PER_GROUP ${example(text)}`,
  ),
  setSlowFast(
    'frames to be pooled, divided by NONLOCAL.GROUP',
    'NONLOCAL.POOL [[],[],[[16,2,2]],[]]',
    (text) => `NONLOCAL.POOL [[],[],[[${found(text, /at most (\d+)/)},2,2]],[]]`,
  ),
  ...['MODEL.STM.NUM_HEADS', 'MODEL.STM.N_GROUPS'].map((key) =>
    set(
      `multiple of ${key}`,
      `MODEL.STM.HIDDEN_DIM 64 ${key} 6`,
      (text) => `${key} 6 MODEL.STM.HIDDEN_DIM ${example(text)}`,
    ),
  ),
  set(
    'a sine and a cosine for each of the 4 box coordinates',
    'MODEL.STM.HIDDEN_DIM 20 MODEL.STM.NUM_HEADS 4',
    (text) => `MODEL.STM.HIDDEN_DIM ${example(text)} MODEL.STM.NUM_HEADS 4`,
  ),
  set(
    'Nesterov momentum needs',
    'SOLVER.OPTIMIZING_METHOD sgd SOLVER.NESTEROV True SOLVER.MOMENTUM 0',
    () => 'SOLVER.OPTIMIZING_METHOD sgd SOLVER.NESTEROV True SOLVER.MOMENTUM 0.9 SOLVER.DAMPENING 0',
  ),
  set(
    'because key frames cannot lie before the first frame',
    'AVA.FIRST_SECOND 2000',
    (text) => `AVA.FIRST_SECOND 2000 AVA.LAST_SECOND ${found(text, /expected (\d+) or more/)}`,
  ),
  set(
    'expected epochs in ascending order',
    'SOLVER.STEPS (4,2)',
    (text) => `SOLVER.STEPS ${found(text, /e\.g\. (\([\d, ]+\))/).replaceAll(' ', '')}`,
  ),
  set(
    'ViT-L has ViT.EMBED_DIM 1024, DEPTH 24, NUM_HEADS 16',
    'MODEL.BACKBONE.CONV_BODY MAE-ViT-L ViT.EMBED_DIM 768',
    () => 'MODEL.BACKBONE.CONV_BODY MAE-ViT-L ViT.EMBED_DIM 1024 ViT.DEPTH 24 ViT.NUM_HEADS 16',
  ),
  set(
    'ava_v2.2',
    "DATA.DATASETS ['ava_kinetics']",
    (text) => `DATA.DATASETS ${found(text, /expected (\['[\w.]+'\])/)}`,
  ),
  set(
    'write it as a list',
    'AVA.TEST_LISTS [a.csv,b.csv]',
    (text) => `AVA.TEST_LISTS ${found(text, /as a list: "(.*)"/).replaceAll(' ', '')}`,
  ),
  set(
    'extract the frames at a whole number',
    'AVA.FPS 29.97',
    (text) => `AVA.FPS ${found(text, /--fps (\d+)/)}`,
  ),
  set(
    'two kinds of quotes',
    'OUTPUT_DIR 2024_01_05',
    (text) => `OUTPUT_DIR ${found(text, /"('2024_01_05')"/)}`,
  ),
  set('write the key and its value as two words', 'ViT.DEPHT=2', (text) =>
    found(text, /as two words: (\S+ \S+)/),
  ),
  set('is a section; set its keys one by one', 'MODEL.STM {}', (text) => `${found(text, /e\.g\. (\S+)/)} 12`),
  set('omit the key to use its default', 'SOLVER.GAMMA None', () => 'SOLVER.BASE_LR 1e-4'),
  set('did you mean', 'SOLVER.BASE_RL 1e-4', (text) => `${found(text, /did you mean (\S+)\?/)} 1e-4`),
  set(
    'nearest: ',
    'SOLVER.SCHEDULER half_period_cosin',
    (text) => `SOLVER.SCHEDULER ${found(text, /nearest: (\S+)/)}`,
  ),
  ...['2024_01_05', '1e5', '0x10', '12:30', 'yes', '.5'].map((name) =>
    file(
      'two kinds of quotes',
      `OUTPUT_DIR:   ${name}   # a folder\n`,
      (text) => `OUTPUT_DIR: ${found(text, /two kinds of quotes: ("'.*'")/)}\n`,
    ),
  ),
  file(
    'a name that looks like a number in two kinds of quotes',
    'AVA: {TEST_LISTS: [01]}\n',
    (text) => `AVA: {TEST_LISTS: ${found(text, /as in (\["'01'"\])/)}}\n`,
  ),
  file(
    'copy the settings of that file into this one',
    '_BASE_: other.yaml\n',
    () => 'SOLVER: {GAMMA: 0.2}\n',
  ),
  file('is set again here, after line 2; keep one of them', 'TEST: {}\nTEST: {}\n', () => 'TEST: {}\n'),
  solver(
    'SOLVER.OPTIMIZING_METHOD: expected',
    { 'SOLVER.OPTIMIZING_METHOD': 'lion' },
    { 'SOLVER.OPTIMIZING_METHOD': 'AdamW' },
  ),
  solver('(SOLVER.BETAS)', { 'SOLVER.BETAS': [0.9, 1] }, { 'SOLVER.BETAS': [0, 0.999] }),
  solver('(SOLVER.BASE_LR)', { 'SOLVER.BASE_LR': -1 }, { 'SOLVER.BASE_LR': 0 }),
  solver(
    '(SOLVER.MOMENTUM)',
    { 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.MOMENTUM': -1 },
    { 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.MOMENTUM': 0, 'SOLVER.NESTEROV': false },
  ),
  solver(
    '(SOLVER.NESTEROV) needs',
    { 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.DAMPENING': 0.1 },
    { 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.DAMPENING': 0 },
  ),
  solver(
    'SOLVER.SCHEDULER: expected',
    { 'SOLVER.SCHEDULER': 'step' },
    { 'SOLVER.SCHEDULER': 'half_period_cosine' },
  ),
  solver(
    'SOLVER.MAX_EPOCH × ITER_PER_EPOCH: expected at least 1',
    { 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.MAX_EPOCH': 0 },
    { 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.MAX_EPOCH': 1 },
  ),
  solver('SOLVER.STEPS: expected ascending', { 'SOLVER.STEPS': [8, 5] }, { 'SOLVER.STEPS': [5, 8] }),
  solver('SOLVER.GAMMA: expected', { 'SOLVER.GAMMA': Number.NaN }, { 'SOLVER.GAMMA': 0.1 }),
  solver(
    'SOLVER.WARMUP_METHOD: expected',
    { 'SOLVER.WARMUP_METHOD': 'sine' },
    { 'SOLVER.WARMUP_METHOD': 'linear' },
  ),
  solver(
    'SOLVER.WARMUP_FACTOR: expected',
    { 'SOLVER.WARMUP_FACTOR': Number.NaN },
    { 'SOLVER.WARMUP_FACTOR': 0.1 },
  ),
];

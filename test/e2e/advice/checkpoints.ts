/** @file Advice about weights and about runs that go on from a checkpoint. */
import { cpSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadWeights } from '../../../src/checkpoint/load_weights.js';
import { readPth } from '../../../src/formats/pth/pth_reader.js';
import { writePth } from '../../../src/formats/pth/pth_writer.js';
import type { PyDict, PyValue } from '../../../src/formats/python/values.js';
import { makeLrScheduler, makeOptimizer } from '../../../src/solver/index.js';
import { lrScaleWarning } from '../../../src/solver/lr_scale_warning.js';
import { TEST_ENGINE } from '../../support/engine.js';
import { modelTensors } from '../../support/model_tensors.js';
import { bareParameter, fakeModel, solverConfig } from '../../support/solver_fixtures.js';
import { TINY_SLOWFAST, tinyConfig } from '../../support/tiny_config.js';
import { type Advice, commandLine, found, type Outcome, outcomeOf } from './advice.js';
import { afterFirst, copyFirst, SETTINGS, train } from './training.js';

const first = (folder: string) => join(folder, 'run', 'model_final.pth');

/** Settings that start from them. */
const firstWeights = (folder: string) => `MODEL.WEIGHT ${first(folder)}`;

/** Copies the first training, whose weights another folder's run starts from. */
function fromFirst(
  says: string,
  wrong: (folder: string) => string | Promise<string>,
  right: (text: string, folder: string) => string,
): Advice {
  return {
    says,
    meet: async (folder) => {
      await copyFirst(folder);
      return train(folder, `${await wrong(folder)} OUTPUT_DIR ${join(folder, 'new')}`);
    },
    follow: (folder, text) => train(folder, `${right(text, folder)}`),
  };
}

/** Words of a message up to the end of its sentence, for the run of another folder. */
const elsewhere = (words: string, folder: string) => `${words} OUTPUT_DIR ${join(folder, 'other')}`;

/** The same training's last checkpoint without some of its parts. */
async function incomplete(folder: string, keep: (key: string) => boolean): Promise<void> {
  await copyFirst(folder);
  const content = readPth(first(folder)) as Map<string, PyValue>;
  const kept = new Map([...content].filter(([key]) => keep(key)));
  await writePth(join(folder, 'part.pth'), kept as never);
  cpSync(join(folder, 'part.pth'), first(folder));
}

/** Loads weights of a model with some settings into one with others. */
function fitted(file: Record<string, unknown>, run: Record<string, unknown>): Outcome | Promise<Outcome> {
  return outcomeOf(() => {
    const shapes = modelTensors(tinyConfig(run));
    const state = modelTensors(tinyConfig(file));
    loadWeights({ path: 'f.pth', state }, shapes, { noHead: false, coverage: 'whole groups' }, () => {});
  });
}

/** Weights of a model into one of other settings, and into one of the settings that the message names. */
function sized(says: string, file: Record<string, unknown>, run: Record<string, unknown>): Advice {
  const load = (changes: Record<string, unknown>) => fitted(file, changes);
  return {
    says,
    meet: () => load(run),
    follow: (_, text) => {
      const [, larger, key, value] =
        /\((?:a (larger|smaller) )?([A-Za-z]+(?:\.[A-Z_]+)+)(?: (?:above )?(\w+))?\)/.exec(text)!;
      const setting = value ?? (larger === 'larger' ? '2' : '1');
      return load({ ...run, [key]: /above/.test(text) ? '1e-5' : setting });
    },
  };
}

/** NONLOCAL.LOCATION without a block. */
const NO_NONLOCAL = Array.from({ length: 4 }, () => [[], []]);

/** A schedule whose state has another number of parameter groups. */
function scheduleOf(cfg = solverConfig()) {
  return makeLrScheduler(cfg, makeOptimizer(cfg, fakeModel([['head.weight', bareParameter([2])]])));
}

function otherSchedule(): PyValue {
  const state = new Map(scheduleOf().stateDict() as Map<PyValue, PyValue>);
  return state.set('base_lrs', [1, 2, 3]);
}

/** An optimizer whose rates were scaled by layer, or were not. */
function scaled(apply: boolean) {
  const cfg = solverConfig({ 'ViT.DEPTH': 1, 'ViT.LAYER_DECAY': 0.5, 'SOLVER.APPLY_LR_SCALE': apply });
  const optimizer = makeOptimizer(cfg, fakeModel([['backbone.blocks.0.weight', bareParameter([2])]]));
  return { cfg, state: optimizer.stateDict() };
}

/** `stmixer test` of a run's folder. */
function test(folder: string, ...words: string[]): Promise<Outcome> {
  const settings = [...SETTINGS, 'OUTPUT_DIR', join(folder, 'tested'), ...words];
  return commandLine('test', '--config-file', 'config_files/tiny.yaml', '--engine', TEST_ENGINE, ...settings);
}

/** The state dict of the first training. */
function firstModel(folder: string): PyDict {
  return (readPth(first(folder)) as PyDict).get('model') as PyDict;
}

/** `stmixer detect` on one frame. */
function detect(folder: string, words: string): Promise<Outcome> {
  const frames = 'sample/frames/vtest_val';
  const flags = `--input ${join(frames, readdirSync(frames).sort()[0])} --out ${join(folder, 'found')}`;
  return commandLine('detect', ...`${flags} --engine ${TEST_ENGINE} ${words}`.trim().split(/ +/));
}

/** A detection that fails, and one with the advice followed, for the weights of the first training. */
function detecting(
  says: string,
  wrong: (folder: string) => string,
  right: (folder: string, text: string) => string,
): Advice {
  return {
    says,
    meet: async (folder) => {
      await copyFirst(folder);
      await writePth(join(folder, 'run', 'bare.pth'), { model: firstModel(folder) });
      return detect(folder, wrong(folder));
    },
    follow: (folder, text) => detect(folder, right(folder, text)),
  };
}

export const CHECKPOINTS: readonly Advice[] = [
  detecting(
    'name the weights of a trained model with --weights FILE, or a configuration',
    () => '',
    (folder) => `--weights ${first(folder)}`,
  ),
  detecting(
    '--weights and MODEL.WEIGHT both name the weights; give only one',
    (folder) => `--weights ${first(folder)} MODEL.WEIGHT x.pth`,
    (folder) => `MODEL.WEIGHT ${first(folder)}`,
  ),
  detecting(
    'add the configuration that they were trained with: --config-file ',
    (folder) => `--weights ${join(folder, 'run', 'bare.pth')}`,
    (folder, text) => `--weights ${join(folder, 'run', 'bare.pth')} ${found(text, /(--config-file \S+)/)}`,
  ),
  fromFirst(
    'To start a new training from its weights, add --transfer; to continue that',
    firstWeights,
    (_, folder) => elsewhere(`--transfer MODEL.WEIGHT ${first(folder)}`, folder),
  ),
  fromFirst(
    'use --resume with its OUTPUT_DIR and a larger SOLVER.MAX_EPOCH',
    firstWeights,
    (_, folder) => `--resume OUTPUT_DIR ${join(folder, 'run')} SOLVER.MAX_EPOCH 2`,
  ),
  afterFirst(
    'name its checkpoint in MODEL.WEIGHT, add --transfer and choose another OUTPUT_DIR',
    '--no-head',
    (_, folder) => elsewhere(`--no-head --transfer MODEL.WEIGHT ${first(folder)}`, folder),
  ),
  afterFirst('leave out --no-head and raise SOLVER.MAX_EPOCH', '--no-head', () => 'SOLVER.MAX_EPOCH 2'),
  fromFirst(
    'Use --no-head to load everything but the head',
    (folder) => `--transfer MODEL.WEIGHT ${first(folder)} MODEL.STM.DIM_FEEDFORWARD 48`,
    (_, folder) =>
      elsewhere(`--transfer --no-head MODEL.WEIGHT ${first(folder)} MODEL.STM.DIM_FEEDFORWARD 48`, folder),
  ),
  afterFirst('to load everything but the head', '--resume MODEL.STM.DIM_FEEDFORWARD 48', (text, folder) =>
    elsewhere(`${found(text, /Use (--.*?) \(with another OUTPUT_DIR/)} MODEL.STM.DIM_FEEDFORWARD 48`, folder),
  ),
  afterFirst(
    'classes from these weights, use --transfer',
    '--resume MODEL.STM.ACTION_CLASSES 70',
    (text, folder) =>
      elsewhere(`${found(text, /use (--transfer MODEL\.WEIGHT \S+)/)} MODEL.STM.ACTION_CLASSES 70`, folder),
  ),
  {
    says: '--no-head (with another OUTPUT_DIR)',
    meet: async (folder) => {
      await copyFirst(folder);
      return train(folder, `MODEL.WEIGHT ${first(folder)} MODEL.STM.DIM_FEEDFORWARD 48 SOLVER.MAX_EPOCH 2`);
    },
    follow: (folder, text) =>
      train(
        folder,
        elsewhere(
          `${found(text, /Use (--.*?) \(with another/)} MODEL.WEIGHT ${first(folder)} MODEL.STM.DIM_FEEDFORWARD 48`,
          folder,
        ),
      ),
  },
  fromFirst(
    'Set the sizes in the config (ViT.*, MODEL.STM.*)',
    (folder) => `--transfer MODEL.WEIGHT ${first(folder)} MODEL.STM.HIDDEN_DIM 32`,
    (_, folder) => elsewhere(`--transfer MODEL.WEIGHT ${first(folder)} MODEL.STM.HIDDEN_DIM 16`, folder),
  ),
  fromFirst(
    'set the sizes in the config to those of the file: ',
    (folder) => `--transfer MODEL.WEIGHT ${first(folder)} ViT.EMBED_DIM 32`,
    (text, folder) =>
      elsewhere(
        `--transfer MODEL.WEIGHT ${first(folder)} ${found(text, /to those of the file: (.*)\./)}`,
        folder,
      ),
  ),
  fromFirst(
    'Choose one, for example with ',
    async (folder) => {
      const model = firstModel(folder);
      await writePth(join(folder, 'two.pth'), { student: model, teacher: new Map(model) });
      return `MODEL.WEIGHT ${join(folder, 'two.pth')}`;
    },
    (text, folder) =>
      elsewhere(
        `MODEL.WEIGHT ${join(folder, 'two.pth')} ${found(text, /with (MODEL\.WEIGHT_KEY \w+)/)}`,
        folder,
      ),
  ),
  fromFirst(
    'To load those instead, add ',
    async (folder) => {
      const model = firstModel(folder);
      await writePth(join(folder, 'averaged.pth'), { model, model_ema: new Map(model) });
      return `MODEL.WEIGHT ${join(folder, 'averaged.pth')}`;
    },
    (text, folder) =>
      elsewhere(
        `MODEL.WEIGHT ${join(folder, 'averaged.pth')} ${found(text, /add (MODEL\.WEIGHT_KEY \w+)/)}`,
        folder,
      ),
  ),
  fromFirst(
    'to train with what loads, and the rest at random',
    (folder) => `--transfer MODEL.WEIGHT ${first(folder)} ViT.DEPTH 2`,
    (text, folder) =>
      elsewhere(
        `--transfer ${found(text, /use (--allow-partial)/)} MODEL.WEIGHT ${first(folder)} ViT.DEPTH 2`,
        folder,
      ),
  ),
  afterFirst('to train with what loads, and the rest at random', '--resume ViT.DEPTH 2', (text, folder) =>
    elsewhere(`${found(text, /use (--.*?) \(with another OUTPUT_DIR/)} ViT.DEPTH 2`, folder),
  ),
  afterFirst(
    'use the model and the ViT and SOLVER settings that it was saved with',
    '--resume SOLVER.MAX_EPOCH 2 SOLVER.OPTIMIZING_METHOD sgd',
    () => '--resume SOLVER.MAX_EPOCH 2',
  ),
  afterFirst(
    '; to take only its weights into a new run',
    '--resume SOLVER.MAX_EPOCH 2 SOLVER.OPTIMIZING_METHOD sgd',
    (text, folder) =>
      elsewhere(`${found(text, /(--transfer MODEL\.WEIGHT \S+)/)} SOLVER.OPTIMIZING_METHOD sgd`, folder),
  ),
  {
    says: 'parameter groups; use the settings that it was saved with, or --adjust-lr',
    meet: () => outcomeOf(() => scheduleOf().loadStateDict(otherSchedule())),
    follow: () => outcomeOf(() => scheduleOf().adoptPosition(otherSchedule())),
  },
  {
    says: 'to go on as before',
    meet: () => outcomeOf(() => lrScaleWarning(scaled(false).cfg, scaled(true).state)),
    follow: (_, text) =>
      outcomeOf(
        () => lrScaleWarning(scaled(/APPLY_LR_SCALE True to go on/.test(text)).cfg, scaled(true).state) ?? '',
      ),
  },
  ...['--overwrite', 'OUTPUT_DIR'].map(
    (way): Advice => ({
      says: 'is whole. To start afresh use --overwrite instead of --resume',
      meet: async (folder) => {
        await copyFirst(folder);
        rmSync(join(folder, 'run', 'model_0000001.pth'), { force: true });
        truncateSync(first(folder), 5000);
        return train(folder, '--resume');
      },
      follow: (folder) => train(folder, way === 'OUTPUT_DIR' ? elsewhere('--resume', folder) : way),
    }),
  ),
  {
    says: 'To take only its weights into a new run',
    meet: async (folder) => {
      await incomplete(folder, (key) => key === 'model');
      rmSync(join(folder, 'run', 'model_0000001.pth'), { force: true });
      return train(folder, '--resume');
    },
    follow: (folder, text) =>
      train(
        folder,
        elsewhere(found(text, /use (--transfer MODEL\.WEIGHT \S+) with another OUTPUT_DIR/), folder),
      ),
  },
  {
    says: 'To start a new training from its weights, add --transfer',
    meet: async (folder) => {
      await incomplete(folder, (key) => key !== 'scheduler');
      return train(folder, elsewhere(`MODEL.WEIGHT ${first(folder)}`, folder));
    },
    follow: (folder) => train(folder, elsewhere(`--transfer MODEL.WEIGHT ${first(folder)}`, folder)),
  },
  {
    says: 'add --transfer and choose another OUTPUT_DIR',
    meet: async (folder) => {
      await incomplete(folder, (key) => key !== 'scheduler');
      return train(folder, `MODEL.WEIGHT ${first(folder)}`);
    },
    follow: (folder) => train(folder, elsewhere(`--transfer MODEL.WEIGHT ${first(folder)}`, folder)),
  },
  {
    says: 'name the weights of a trained model, for example MODEL.WEIGHT',
    meet: async (folder) => {
      await copyFirst(folder);
      return test(folder);
    },
    follow: (folder) => test(folder, 'MODEL.WEIGHT', first(folder)),
  },
  {
    says: 'write the path of the checkpoint to go on from into',
    meet: async (folder) => {
      await copyFirst(folder);
      rmSync(join(folder, 'run', 'model_0000001.pth'), { force: true });
      cpSync(first(folder), join(folder, 'run', 'kept.pth'));
      rmSync(first(folder));
      return train(folder, '--resume SOLVER.MAX_EPOCH 2');
    },
    follow: (folder, text) => {
      writeFileSync(found(text, /go on from into (\S+last_checkpoint)/), join(folder, 'run', 'kept.pth'));
      return train(folder, '--resume SOLVER.MAX_EPOCH 2');
    },
  },
  {
    says: 'NONLOCAL.LOCATION with the blocks of the file',
    meet: () => fitted(TINY_SLOWFAST, { ...TINY_SLOWFAST, 'NONLOCAL.LOCATION': NO_NONLOCAL }),
    follow: () => fitted(TINY_SLOWFAST, TINY_SLOWFAST),
  },
  {
    says: 'NONLOCAL.LOCATION with the blocks of the file',
    meet: () => fitted({ ...TINY_SLOWFAST, 'NONLOCAL.LOCATION': NO_NONLOCAL }, TINY_SLOWFAST),
    follow: () => {
      const run = { ...TINY_SLOWFAST, 'NONLOCAL.LOCATION': NO_NONLOCAL };
      return fitted(run, run);
    },
  },
  sized('(ViT.QKV_BIAS True)', {}, { 'ViT.QKV_BIAS': false }),
  sized('(ViT.QKV_BIAS False)', { 'ViT.QKV_BIAS': false }, {}),
  sized('(ViT.INIT_VALUES above 0)', { 'ViT.INIT_VALUES': 1e-5 }, {}),
  sized('(ViT.INIT_VALUES 0)', {}, { 'ViT.INIT_VALUES': 1e-5 }),
  sized('(ViT.USE_LEARNABLE_POS_EMB False)', {}, { 'ViT.USE_LEARNABLE_POS_EMB': true }),
  sized('(a larger MODEL.STM.NUM_CLS)', { 'MODEL.STM.NUM_CLS': 2 }, { 'MODEL.STM.NUM_CLS': 1 }),
  sized('(a smaller MODEL.STM.NUM_CLS)', { 'MODEL.STM.NUM_CLS': 1 }, { 'MODEL.STM.NUM_CLS': 2 }),
];

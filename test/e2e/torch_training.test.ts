/**
 * @file Runs that change over between PyTorch and this package. A small model with real gradients: three steps there and three
 * here, in both directions, against six. And a checkpoint of the whole detector, continued by PyTorch's optimizer.
 */

import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.js';
import { tf } from '../../src/engine/tfjs.js';
import { type HostTensor, toFloat32 } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import type { PyDict, PyValue } from '../../src/formats/python/values.js';
import { SetCriterion } from '../../src/loss/criterion.js';
import { Detector } from '../../src/model/detector.js';
import { initializeParameters } from '../../src/nn/module.js';
import { makeLrScheduler, makeOptimizer } from '../../src/solver/index.js';
import { TrainingState } from '../../src/training/training_state.js';
import { expectClose, GRADIENT, goldenExists, goldenJson, goldenTensors, WEIGHTS } from '../golden/golden.js';
import { saveCheckpoint } from '../support/save_checkpoint.js';
import { plain } from '../support/solver_fixtures.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { runPythonFile, torchTitle, torchVersion } from '../support/torch.js';
import { CASES, type Case, SmallTraining } from './interchange/small_training.js';

const PROGRAM = 'interchange/small_model.py';
/** What `small_model.py train` wrote for one case, kept for where there is no PyTorch. */
const KEPT = fileURLToPath(new URL('interchange', import.meta.url));
const NAMES = Object.keys(CASES) as Case[];

const read = (path: string) => readPth(path) as PyDict;

/** A group's or a schedule's numbers, and the state of a parameter, as both sides write them. */
interface Saved {
  optimizer: {
    state: Record<string, Record<'step' | 'exp_avg' | 'exp_avg_sq', { values: number[] }>>;
    param_groups: Record<string, unknown>[];
  };
  scheduler: Record<string, unknown>;
}

const GROUP = ['lr', 'initial_lr', 'betas', 'eps', 'weight_decay', 'lr_scale', 'params'];
const SCHEDULE = ['last_epoch', '_step_count', 'base_lrs', '_last_lr', 'milestones', 'gamma', 'max_iters'];

/** Asserts that weights, moments, counts of steps, rates and the schedule are those of a file that PyTorch wrote. */
function expectSame(state: ReturnType<SmallTraining['state']>, file: PyDict): void {
  const weights = file.get('model') as Map<string, HostTensor>;
  expect([...state.model.keys()]).toEqual([...weights.keys()]);
  for (const [name, tensor] of weights)
    expectClose(toFloat32(state.model.get(name)!), toFloat32(tensor), WEIGHTS, name);

  const saved = (value: { optimizer: PyValue; scheduler: PyValue }) =>
    ({ optimizer: plain(value.optimizer), scheduler: plain(value.scheduler) }) as Saved;
  const ours = saved(state);
  const theirs = saved({ optimizer: file.get('optimizer')!, scheduler: file.get('scheduler')! });
  expect(Object.keys(ours.optimizer.state)).toEqual(Object.keys(theirs.optimizer.state));
  for (const [index, { step, exp_avg, exp_avg_sq }] of Object.entries(theirs.optimizer.state)) {
    const own = ours.optimizer.state[index];
    expect(own.step.values).toEqual(step.values);
    expectClose(own.exp_avg.values, exp_avg.values, GRADIENT, `exp_avg ${index}`);
    expectClose(own.exp_avg_sq.values, exp_avg_sq.values, GRADIENT, `exp_avg_sq ${index}`);
  }
  const chosen = (from: Record<string, unknown>, names: string[]) =>
    Object.fromEntries(names.filter((name) => name in from).map((name) => [name, closeTo(from[name])]));
  for (const [i, group] of theirs.optimizer.param_groups.entries())
    expect(ours.optimizer.param_groups[i]).toMatchObject(chosen(group, GROUP));
  expect(ours.scheduler).toMatchObject(chosen(theirs.scheduler, SCHEDULE));
}

/** The same value with its numbers to twelve decimals. */
function closeTo(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closeTo);
  return typeof value === 'number' ? expect.closeTo(value, 12) : value;
}

/** Continues from the third step here, and compares with the state after six steps there. */
function expectSameAfterContinuing(name: Case, folder: string): void {
  const training = new SmallTraining(name).load(join(folder, `${name}_three.pth`));
  expect(training.iteration).toBe(3);
  const rates = training.train(6, read(join(folder, `${name}_start.pth`)));
  const six = read(join(folder, `${name}_six.pth`));
  expect(rates).toEqual(closeTo(plain(six.get('rates')!)));
  expectSame(training.state(), six);
  training.dispose();
}

it('a run continues from a checkpoint that PyTorch wrote (kept in test/e2e/interchange)', () => {
  expectSameAfterContinuing('multi_step', KEPT);
});

describe.skipIf(!torchVersion?.startsWith('2'))(
  `a run that changes between PyTorch and this package, ${torchTitle}`,
  () => {
    let folder: string;
    /** This package's own six steps, after three of which it saved what PyTorch continues. */
    const own = new Map<Case, SmallTraining>();
    /** What a later version of this package, or anybody else, may save beside the official entries. */
    const more: PyValue = { iteration: 3, seen: [1, 2], text: 'é', tensor: null };
    let detector: Awaited<ReturnType<typeof trainDetector>>;
    const hasDetector = goldenExists('e2e.json');

    beforeAll(async () => {
      folder = temporaryFolderOfFile();
      runPythonFile(PROGRAM, ['train', folder], folder);
      for (const name of NAMES) {
        const start = join(folder, `${name}_start.pth`);
        const training = new SmallTraining(name).load(start);
        training.train(3, read(start));
        const state = training.state();
        const path = await saveCheckpoint(folder, `${name}_plain`, state);
        const extra = { ...(more as object), tensor: state.model.get('head.bias')! };
        if (name === 'cosine') await writePth(join(folder, `${name}_ours.pth`), { ...state, stmixer: extra });
        else copyFileSync(path, join(folder, `${name}_ours.pth`));
        training.train(6, read(start));
        own.set(name, training);
      }
      if (hasDetector) detector = await trainDetector(folder);
      runPythonFile(PROGRAM, ['continue', folder], folder);
    }, 120_000);

    afterAll(() => {
      for (const training of own.values()) training.dispose();
    });

    it.each(NAMES)('gives the weights of six steps there after three there and three here: %s', (name) => {
      expectSameAfterContinuing(name, folder);
    });

    it.each(NAMES)('gives the weights of six steps after three here and three there: %s', (name) => {
      const continued = read(join(folder, `${name}_continued.pth`));
      const six = read(join(folder, `${name}_six.pth`));
      expect(plain(continued.get('rates')!)).toEqual(closeTo(plain(six.get('rates')!)));
      expectSame(own.get(name)!.state(), six);
      expectSame(own.get(name)!.state(), continued);
      const loaded = new SmallTraining(name).load(join(folder, `${name}_continued.pth`));
      expectSame(loaded.state(), six);
      loaded.dispose();
    });

    it('keeps an entry that PyTorch does not know, in a file that loads', () => {
      const written = read(join(folder, 'cosine_ours.pth'));
      const continued = read(join(folder, 'cosine_continued.pth'));
      expect(continued.get('iteration')).toBe(6);
      expect(plain(continued.get('stmixer')!)).toEqual(plain(written.get('stmixer')!));
      expect(plain(continued.get('stmixer')!)).toMatchObject({ iteration: 3, seen: [1, 2], text: 'é' });
      const loaded = new SmallTraining('cosine').load(join(folder, 'cosine_continued.pth'));
      expect(loaded.iteration).toBe(6);
      loaded.dispose();
    });

    describe.skipIf(!hasDetector)('the whole detector in both', () => {
      const result = () =>
        JSON.parse(readFileSync(join(folder, 'detector.json'), 'utf8')) as {
          shapes: [string, number[]][];
          iteration: number;
          rates: number[][];
          weights: Record<string, number[]>;
        };

      it('has the keys and shapes of the original state dict', () => {
        const { shapes, iteration } = result();
        const expected = Array.from(goldenTensors('e2e_weights.safetensors'), ([name, { shape }]) => [
          name,
          shape,
        ]);
        expect(shapes.toSorted()).toEqual(expected.toSorted());
        expect(shapes.at(-1)![0]).toBe('stm_head.criterion.empty_weight');
        expect(iteration).toBe(3);
      });

      it('continues with the same learning rates to the same weights', () => {
        const { rates, weights } = result();
        expect(rates).toEqual(closeTo(detector.rates));
        for (const [name, expected] of detector.weights) expectClose(weights[name], expected, WEIGHTS, name);
      });
    });
  },
);

/** Six steps of the detector with gradients that are made up; what it is after three goes to detector.pth. */
async function trainDetector(folder: string) {
  const rates: number[][] = [];
  const weights = new Map<string, Float32Array>();
  const cfg = goldenJson('e2e.json').config as Config;
  cfg.SOLVER.APPLY_LR_SCALE = true;
  const model = new Detector(cfg);
  initializeParameters(model, 0);
  const optimizer = makeOptimizer(cfg, model);
  const scheduler = makeLrScheduler(cfg, optimizer);
  const state = new TrainingState(model, new SetCriterion(cfg.MODEL.STM), optimizer, scheduler);
  for (let step = 0; step < 6; step++) {
    state.iteration = step;
    if (step === 3) await saveCheckpoint(folder, 'detector', state.checkpoint());
    // They differ from parameter to parameter and from step to step, the same in both languages.
    for (const [index, parameter] of model.parameters().entries())
      parameter.grad = tf.fill([...parameter.shape], 0.01 * ((index % 7) - 3) + 0.001 * step);
    if (step >= 3) rates.push(optimizer.paramGroups.map((group) => group.lr));
    optimizer.step();
    optimizer.zeroGrad();
    scheduler.step();
  }
  for (const [name, { value }] of model.namedParameters())
    weights.set(name, value.dataSync() as Float32Array);
  model.dispose();
  optimizer.dispose();
  return { rates, weights };
}

/** @file Tests of what is logged when, and of what happens where it cannot be. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { makeAvaFolder } from '../../../test/support/ava_folder.js';
import { eventFiles, readEvents, scalarsOf, valuesOf } from '../../../test/support/event_file.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { EvaluationReport } from '../../evaluation/types.js';
import { BatchNorm } from '../../nn/batch_norm.js';
import { initializeParameters, Module, Parameter } from '../../nn/module.js';
import type { StepReport, TrainingRun } from '../hook.js';
import { TensorBoardHook, type TensorBoardOptions } from './tensorboard.js';

const step = (iteration: number, change: Partial<StepReport> = {}): StepReport => ({
  iteration,
  total: iteration,
  terms: new Map([
    ['loss_bce', 2 * iteration],
    ['loss_bce_0', 3 * iteration],
  ]),
  gradNorm: 4 * iteration,
  lr: [0.5, 0.5],
  seconds: 4,
  dataSeconds: 0.5,
  etaSeconds: 0,
  ...change,
});

class Weights extends Module {
  readonly a = new Parameter([3], () => {});
}

/** A run of eight clips per step. */
function runOf(state: { iteration?: number; model?: Module } = {}): TrainingRun {
  const cfg = tinyConfig({ 'SOLVER.VIDEOS_PER_BATCH': 8 });
  return { cfg, startIteration: 0, state } as unknown as TrainingRun;
}

function open(change: Partial<TensorBoardOptions> = {}) {
  const folder = join(temporaryFolder(), 'tensorboard');
  const warnings: string[] = [];
  const hook = new TensorBoardHook({
    folder,
    log: { warn: (_: unknown, text?: string) => void warnings.push(text ?? '') } as TensorBoardOptions['log'],
    configYaml: 'SOLVER:\n  BASE_LR: 0.5\n',
    startIteration: 0,
    histogramPeriod: null,
    memory: () => ({ bytes: 2 ** 29, tensors: 7, rssBytes: 2 ** 31, peakBytes: 2 ** 32 }),
    testSet: null,
    ...change,
  });
  const events = () => eventFiles(folder).flatMap(readEvents);
  return { hook, warnings, events, scalars: () => scalarsOf(events()), folder };
}

function evaluation(dataset: AvaDataset): EvaluationReport {
  const curve = { scores: new Float64Array(), precision: new Float64Array(), recall: new Float64Array() };
  return {
    iteration: 30,
    results: {
      mAP: 0.25,
      perClass: [
        { id: 1, name: 'bend/bow', ap: 0.25, numGroundTruth: 3, curve },
        { id: 2, name: 'sit', ap: null, numGroundTruth: 0, curve },
      ],
    },
    clips: Array.from({ length: dataset.length }, (_, i) => ({
      clip: dataset.source(i).info,
      detections: {
        boxes: Float32Array.of(0, 0, 0.5, 0.5),
        personScores: Float32Array.of(0.75),
        actionScores: Float32Array.of(0.5, 0.5),
      },
    })),
    seconds: 12,
    best: true,
    folder: '',
  };
}

describe('TensorBoardHook', () => {
  it('writes the first step, then means of ten, then the rest at the end', async () => {
    const { hook, scalars } = open();
    for (let iteration = 1; iteration <= 23; iteration++) {
      await hook.afterStep(runOf(), step(iteration));
      // Never more than a logged step behind.
      const logged = iteration < 10 ? [1] : iteration < 20 ? [1, 10] : [1, 10, 20];
      expect(scalars()['train/loss'].map(([at]) => at)).toEqual(logged);
    }
    await hook.afterTraining(runOf({ iteration: 23 }));
    hook.close();
    expect(scalars()).toEqual({
      'train/loss': [
        [1, 1],
        [10, 6],
        [20, 15.5],
        [23, 22],
      ],
      'train/loss_bce': expect.arrayContaining([[23, 44]]),
      'train_stages/loss_bce_0': expect.arrayContaining([[23, 66]]),
      'train/grad_norm': expect.arrayContaining([[23, 88]]),
      'train/lr': [1, 10, 20, 23].map((at) => [at, 0.5]),
      'time/step_seconds': expect.arrayContaining([[20, 4]]),
      'time/data_seconds': expect.arrayContaining([[20, 0.5]]),
      'time/clips_per_second': expect.arrayContaining([[20, 2]]),
      'memory/process_gib': expect.arrayContaining([[20, 2]]),
      'memory/tensors_gib': expect.arrayContaining([[20, 0.5]]),
    });
  });

  it('shows where groups differ in their learning rate, and the memory of a GPU', async () => {
    const { hook, scalars } = open({
      memory: () => ({ bytes: 0, tensors: 0, rssBytes: 0, peakBytes: 0, gpuBytes: 2 ** 30 }),
    });
    await hook.afterStep(runOf(), step(1, { lr: [0.5, 0.25, 0.5] }));
    expect(scalars()).toMatchObject({
      'train/lr': [[1, 0.5]],
      'train/lr_lowest': [[1, 0.25]],
      'memory/gpu_gib': [[1, 1]],
    });
    hook.close();
  });

  it('shows the configuration and supersedes what a resumed run does again', () => {
    const { hook, events } = open({ startIteration: 40 });
    hook.close();
    expect(events()).toMatchObject([
      { file_version: 'brain.Event:2' },
      { step: 41, session_log: { status: 1 } },
      { step: 41, summary: { value: [{ tag: 'config' }] } },
    ]);
    const [{ tensor }] = valuesOf(events()) as unknown as [{ tensor: { string_val: [Buffer] } }];
    expect(String(tensor.string_val[0])).toBe('```yaml\nSOLVER:\n  BASE_LR: 0.5\n\n```');
  });

  it('counts the weights as often as configured', async () => {
    const model = new Weights();
    model.a.set(Float32Array.of(-1, 2, 3));
    const { hook, events } = open({ histogramPeriod: 3 });
    const run = runOf({ model });
    for (let iteration = 1; iteration <= 7; iteration++) await hook.afterStep(run, step(iteration));
    hook.close();
    const histograms = valuesOf(events()).filter((value) => 'histo' in value);
    expect(histograms).toMatchObject([
      { tag: 'weights/a', step: 3, histo: { min: -1, max: 3, num: 3 } },
      { tag: 'weights/a', step: 6 },
    ]);
  });

  it('counts running statistics like weights, but not batches', async () => {
    const model = new BatchNorm(2);
    initializeParameters(model, 0);
    const { hook, events } = open({ histogramPeriod: 1 });
    await hook.afterStep(runOf({ model }), step(1));
    hook.close();
    const tags = valuesOf(events()).flatMap((value) => ('histo' in value ? [value.tag] : []));
    expect(tags).toEqual(['weight', 'bias', 'running_mean', 'running_var'].map((name) => `weights/${name}`));
    model.dispose();
  });

  it('shows an evaluation: mAP, classes that have ground truth, images', async () => {
    const ava = await makeAvaFolder({
      videos: { v: { frames: 20, width: 32, height: 24 } },
      annotations: [2, 3, 4, 5, 6, 7].map((second) => `v,090${second},0,0,1,1,1,7`),
    });
    const dataset = AvaDataset.open(ava.config({ 'DATA.NUM_FRAMES': 4 }), 'test');
    const { hook, events, scalars, warnings } = open({ testSet: dataset });
    await hook.afterEvaluation(runOf(), evaluation(dataset));
    hook.close();
    expect(scalars()).toEqual({
      'val/mAP': [[30, 0.25]],
      'val/seconds': [[30, 12]],
      'val_AP/bend/bow': [[30, 0.25]],
    });
    const pictures = valuesOf(events()).flatMap((value) => ('image' in value ? [value] : []));
    expect(pictures.map(({ tag }) => tag)).toEqual(
      [902, 904, 905, 907].map((second) => `val_detections/v, second ${second}`),
    );
    for (const { image } of pictures) {
      const { format, width, height } = await sharp(image.encoded_image_string).metadata();
      expect({ format, width, height }).toEqual({ format: 'png', width: image.width, height: image.height });
    }
    expect(warnings).toEqual([]);
  });

  it('reports once what cannot be drawn and continues', async () => {
    const ava = await makeAvaFolder({
      videos: { v: { frames: 9, width: 32, height: 24 } },
      annotations: ['v,0902,0,0,1,1,1,7'],
    });
    const dataset = AvaDataset.open(ava.config({ 'DATA.NUM_FRAMES': 4 }), 'test');
    rmSync(ava.framePath('v', 2));
    const { hook, scalars, warnings } = open({ testSet: dataset });
    await hook.afterEvaluation(runOf(), evaluation(dataset));
    await hook.afterEvaluation(runOf(), evaluation(dataset));
    await hook.afterStep(runOf(), step(1));
    hook.close();
    expect(warnings).toEqual([expect.stringContaining(ava.framePath('v', 2))]);
    expect(scalars()).toMatchObject({ 'val/mAP': [{}, {}], 'train/loss': [[1, 1]] });
  });

  it('refuses a folder that cannot be created', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    expect(() => open({ folder: join(folder, 'file', 'tensorboard') })).toThrow(
      /^--use-tfboard: cannot write events to .*: ENOTDIR/,
    );
  });
});

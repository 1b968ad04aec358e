/** @file Detectors with ResNet backbones against PyTorch: evaluation, three training steps, evaluation again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/loading/collate.js';
import { tf } from '../../src/engine/tfjs.js';
import { SetCriterion } from '../../src/loss/criterion.js';
import { Detector } from '../../src/model/detector.js';
import {
  allDetections,
  type HostResult,
  predictionsOf,
  predictionTensors,
} from '../../src/model/inference.js';
import { trackStatistics } from '../../src/nn/batch_statistics.js';
import { type Parameter, StateBuffer } from '../../src/nn/module.js';
import { noGrad } from '../../src/nn/tape.js';
import { makeLrScheduler, makeOptimizer } from '../../src/solver/index.js';
import { computeGradients } from '../../src/training/step.js';
import { CLASS_WEIGHTS } from '../../src/training/training_state.js';
import { TEST_ENGINE } from '../support/engine.js';
import { expectClose, FORWARD, type Golden, GRADIENT, goldenExists, WEIGHTS } from './golden.js';
import {
  expectSample,
  expectTensor,
  loadHashed,
  numbersOf,
  officialConfig,
  resnetJson,
  resnetTensors,
  type StatsRow,
  sampled,
} from './resnet.js';
import { stageOutputs } from './stage_outputs.js';

const EVALUATION = 1e-5;
const LOSS = 1e-5;
/** Smaller gradients are mostly rounding, which the optimizer turns into steps of full size. */
const MIN_GRADIENT = 1e-5;

// The cpu engine, which computes in JavaScript, takes six minutes for one. It has the small backbones of the others.
const NAMES = TEST_ENGINE === 'cpu' ? ['slowonly'] : ['slowonly', 'slowfast', 'slowfast_nl'];
const CASES = NAMES.filter((name) => goldenExists(`resnet/resnet_e2e_${name}.json`));

// A folder of other cases may hold none of them.
describe.skipIf(CASES.length === 0)('a detector', () => {
  describe.each(CASES)('%s', checkDetector);
});

function checkDetector(name: string): void {
  const golden = resnetJson(`resnet_e2e_${name}.json`);
  const io = resnetTensors(`resnet_e2e_${name}_io.safetensors`);
  const samples = resnetTensors(`resnet_e2e_${name}_samples.safetensors`);
  const cfg = officialConfig(golden.base_config, golden.config_overrides);
  const zero = new Set<string>(golden.true_gradient_is_zero);
  const model = new Detector(cfg);
  const criterion = new SetCriterion(cfg.MODEL.STM);
  const whwh = io.get('whwh')!.data;
  const clips = [...golden.batch.counts.keys()];
  const batch: Batch = makeBatch();

  function makeBatch(): Batch {
    const { shape, data } = io.get('video.u8')!;
    const [B, C, T, H, W] = shape;
    const video = tf.tidy(() =>
      tf.tensor(data, shape).sub(128).div(64).transpose([0, 2, 3, 4, 1]).dataSync(),
    );
    return {
      video: video as Float32Array,
      shape: [B, T, H, W, C as 3],
      whwh: Float32Array.from(clips.flatMap((c) => [0, 1, 2, 3].map((i) => whwh[4 * c + i]))),
      boxes: clips.map((c) => io.get(`clip${c}.gt_boxes`)!.data),
      labels: clips.map((c) => io.get(`clip${c}.gt_labels`)!.data),
      clips: clips.map((c) => ({ clipId: c, videoIndex: 0, videoName: 'golden', second: c })),
    };
  }

  const videoTensor = () => tf.tensor(batch.video, [...batch.shape]);
  const sizes = () => tf.tensor2d(batch.whwh, [clips.length, 4]);

  function stored(key: string): { stored: Golden; row: StatsRow } {
    const tensor = samples.get(`sample.${key}`) ?? samples.get(key);
    if (!tensor) throw new Error(`${key} is not in the file`);
    return { stored: tensor, row: golden.stats[key] };
  }

  function compare(key: string, values: ArrayLike<number>, tolerance: number): void {
    expectSample(`${name}: ${key}`, values, { ...stored(key), tolerance });
  }

  beforeAll(() => {
    expect(cfg.MODEL.BACKBONE.FROZEN_BN).toBe(golden.frozen_bn);
    loadHashed(model, golden.weights, (key) => io.get(`w.${key}`)!.data);
    criterion.classWeights.set(io.get(`w.${CLASS_WEIGHTS}`)!.data);
  });

  afterAll(() => model.dispose());

  function checkEvaluation(prefix: string, kept: readonly number[]): void {
    model.train(false);
    const results: HostResult[] = [];
    tf.tidy(() => {
      const stage = noGrad(() => model.forward(videoTensor(), sizes())).at(-1)!;
      for (const tensor of predictionTensors(stage))
        results.push({ content: tensor.dataSync() as Float32Array, shape: tensor.shape });
    });
    const predictions = predictionsOf(results);
    const expectNear = (key: string, actual: ArrayLike<number>) => {
      const expected = io.get(`${prefix}.${key}`)!.data;
      const limit = Math.max(EVALUATION, 5 * (golden.noise_floor[`${prefix}.${key}`]?.[1] ?? 0));
      expect(actual.length, key).toBe(expected.length);
      for (const [i, value] of expected.entries())
        expect(Math.abs(actual[i] - value), `${prefix}.${key}[${i}]`).toBeLessThanOrEqual(limit);
    };
    expectNear('objectness', predictions.person);
    const detections = allDetections(predictions, batch.whwh, golden.person_threshold);
    expect(detections.map(({ personScores }) => personScores.length)).toEqual(kept);
    for (const [c, { boxes, actionScores }] of detections.entries()) {
      expectNear(`clip${c}.boxes`, boxes);
      expectNear(`clip${c}.action_scores`, actionScores);
    }
    model.train(true);
  }

  function checkForward(): void {
    const read: [string, Float32Array][] = [];
    tf.tidy(() => {
      const { backbone, maps } = model.features(videoTensor());
      const stages = model.stm_head.forward(maps, sizes());
      for (const [i, map] of backbone.entries()) read.push([`out.backbone.${i}`, numbersOf(map)]);
      for (const [i, map] of maps.entries()) read.push([`out.mapped.${i}`, numbersOf(map)]);
      for (const [s, stage] of stages.entries()) {
        for (const [key, value] of Object.entries(stageOutputs(stage)))
          read.push([`out.stage${s}.${key}`, numbersOf(value)]);
      }
      const targets = clips.map((c) => ({
        boxes: batch.boxes[c],
        labels: batch.labels[c],
        whwh: batch.whwh.subarray(4 * c, 4 * c + 4),
      }));
      const { matches } = criterion.losses(stages, targets);
      for (const [s, found] of matches.entries()) {
        const pairs = found.map((clip) => ({
          pred: clip.map((match) => match.query),
          gt: clip.map((match) => match.target),
        }));
        expect(pairs).toEqual(golden.matching[`stage${s}`]);
      }
    });
    for (const [key, values] of read) compare(key, values, FORWARD);
  }

  /** Compares state after steps, where the first gradient is more than rounding. */
  function checkState(step: number): void {
    const { classWeights } = criterion;
    compare(`w${step}.${CLASS_WEIGHTS}`, classWeights, WEIGHTS);
    for (const [key, entry] of model.namedState()) {
      if (entry instanceof StateBuffer) {
        if (entry.dtype === 'int64')
          expect(golden.num_batches_tracked_after[step], key).toContain(entry.data[0]);
        else compare(`w${step}.${key}`, entry.data, WEIGHTS);
        continue;
      }
      if (zero.has(key)) continue;
      const { stored: expected, row } = stored(`w${step}.${key}`);
      const gradient = stored(`grad.${key}`);
      const least = Math.max(MIN_GRADIENT, 3 * gradient.row[5]);
      const usable = [...gradient.stored.data.keys()].filter(
        (i) => Math.abs(gradient.stored.data[i]) >= least,
      );
      const actual = sampled(entry.value.dataSync(), row[0]);
      expectTensor(`${name}: ${key} after step ${step}`, {
        actual: usable.map((i) => actual[i]),
        expected: usable.map((i) => expected.data[i]),
        tolerance: WEIGHTS,
        noiseMax: row[5],
        noiseRel: row[6],
      });
    }
  }

  it('evaluates and trains like PyTorch', async () => {
    checkEvaluation('eval', golden.eval_kept_per_clip);
    checkForward();
    const optimizer = makeOptimizer(cfg, model);
    expect(
      optimizer.paramGroups.map(({ params, weight_decay }) => ({ weight_decay, count: params.length })),
    ).toEqual(golden.optimizer_groups);
    const scheduler = makeLrScheduler(cfg, optimizer);
    for (const expected of golden.losses) {
      expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual(
        expected.lr.map((lr: number) => expect.closeTo(lr, 12)),
      );
      const { terms, total, statistics } = await computeGradients({ model, criterion }, batch, {
        replay: false,
      });
      expect([...terms.keys()]).toEqual(golden.loss_dict_order);
      const noise = [expected.total, ...expected.total_others].map((x: number) =>
        Math.abs(x / expected.total_f64 - 1),
      );
      const limit = Math.max(LOSS, 5 * Math.max(...noise));
      expect(Math.abs(total / expected.total_f64 - 1), `total ${expected.iter}`).toBeLessThanOrEqual(limit);
      if (expected.iter === 1)
        for (const [key, { value, grad }] of namedGradients())
          if (!zero.has(key))
            compare(`grad.${key}`, grad?.dataSync() ?? new Float32Array(value.size), GRADIENT);
      trackStatistics(statistics);
      optimizer.step();
      optimizer.zeroGrad();
      scheduler.step();
      if (samples.has(`sample.w${expected.iter}.${CLASS_WEIGHTS}`)) checkState(expected.iter);
    }
    checkEvaluation('eval3', golden.eval3_kept_per_clip);
    optimizer.dispose();
  });

  function namedGradients(): [string, Parameter][] {
    return [...model.namedParameters()];
  }

  it('has the class weights of the state dict', () => {
    expectClose(criterion.classWeights, io.get(`w.${CLASS_WEIGHTS}`)!.data, FORWARD, CLASS_WEIGHTS);
  });
}

/** @file The whole detector against PyTorch: predictions, matching, losses, gradients, optimizer steps, detections. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.js';
import { tf } from '../../src/engine/tfjs.js';
import { SetCriterion } from '../../src/loss/criterion.js';
import { Detector } from '../../src/model/detector.js';
import { toDetections } from '../../src/model/inference.js';
import { backward } from '../../src/nn/tape.js';
import { makeLrScheduler, makeOptimizer } from '../../src/solver/index.js';
import {
  expectClose,
  FORWARD,
  type Golden,
  GRADIENT,
  goldenExists,
  goldenJson,
  goldenTensors,
  WEIGHTS,
} from './golden.js';
import { stageOutputs } from './stage_outputs.js';

const maxAbs = (values: Float32Array) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

const present = goldenExists('e2e.json');

describe.skipIf(!present)('the detector end to end', () => {
  const e2e = goldenJson('e2e.json');
  const io = goldenTensors('e2e_io.safetensors');
  const grads = goldenTensors('e2e_grads.safetensors');
  const weights = goldenTensors('e2e_weights.safetensors');
  const cfg = e2e.config as Config;
  const whwh: number[] = e2e.whwh.flat();
  const model = new Detector(cfg);
  const criterion = new SetCriterion(cfg.MODEL.STM);
  const names = Array.from(model.namedParameters(), ([name]) => name);
  const targets = e2e.whwh.map((size: number[], b: number) => ({
    boxes: e2e.gt_boxes[b].flat(),
    labels: e2e.gt_labels[b].flat(),
    whwh: size,
  }));
  /** Below this a gradient of this model is nothing but rounding. */
  const rounding = 1e-7 * Math.max(...Array.from(grads.values(), ({ data }) => maxAbs(data)));
  let video: tf.Tensor;
  let sizes: tf.Tensor;

  function expectGolden(
    key: string,
    actual: tf.Tensor,
    expected: Golden | undefined,
    tolerance: number,
  ): void {
    if (!expected) throw new Error(`no reference for ${key}`);
    expect(actual.size, key).toBe(expected.data.length);
    expectClose(actual.dataSync(), expected.data, tolerance, key, e2e.noise_floor[key]);
  }

  beforeAll(() => {
    const stored = [...weights.keys()].filter((name) => name !== 'stm_head.criterion.empty_weight');
    expect(names.toSorted()).toEqual(stored.toSorted());
    for (const [name, parameter] of model.namedParameters()) {
      const { shape, data } = weights.get(name)!;
      expect(parameter.shape, name).toEqual(shape);
      parameter.set(data);
    }
    const { shape, data } = io.get('video.u8')!;
    video = tf.tidy(() => tf.tensor(data, shape).sub(128).div(64).transpose([0, 2, 3, 4, 1]));
    sizes = tf.tensor2d(whwh, [whwh.length / 4, 4]);
  });

  afterAll(() => {
    model.dispose();
    tf.dispose([video, sizes]);
  });

  it('has the class weights of the state dict', () => {
    expectClose(
      criterion.classWeights,
      weights.get('stm_head.criterion.empty_weight')!.data,
      FORWARD,
      'empty_weight',
    );
  });

  it('predicts the same features, boxes and logits in every stage', () => {
    tf.tidy(() => {
      const {
        backbone: [backbone],
        maps,
      } = model.features(video);
      const toFirst = (x: tf.Tensor) => x.transpose([0, 4, 1, 2, 3]);
      expectGolden('out.backbone', toFirst(backbone), io.get('out.backbone'), FORWARD);
      for (const [l, map] of maps.entries()) {
        expectGolden(`out.mapped.${l}`, toFirst(map), io.get(`out.mapped.${l}`), FORWARD);
      }
      for (const [s, stage] of model.forward(video, sizes).entries()) {
        for (const [name, value] of Object.entries(stageOutputs(stage))) {
          expectGolden(`out.stage${s}.${name}`, value, io.get(`out.stage${s}.${name}`), FORWARD);
        }
      }
    });
  });

  it('returns the same detections in evaluation', () => {
    const found = tf.tidy(() => {
      const last = model.train(false).forward(video, sizes).at(-1)!;
      model.train(true);
      // Detections are host data: nothing of them is for tidy to keep.
      return { detections: toDetections(last, whwh, cfg.MODEL.STM.PERSON_THRESHOLD) } as never;
    }) as unknown as { detections: ReturnType<typeof toDetections> };
    for (const [b, { boxes, actionScores }] of found.detections.entries()) {
      expect(boxes.length / 4, `clip ${b}`).toBe(e2e.eval_selected[`clip${b}`]);
      expectClose(boxes, io.get(`eval.clip${b}.boxes`)!.data, FORWARD, `eval.clip${b}.boxes`);
      expectClose(
        actionScores,
        io.get(`eval.clip${b}.action_scores`)!.data,
        FORWARD,
        `eval.clip${b}.action_scores`,
      );
    }
  });

  it('gives the same matches, losses, gradients and steps', () => {
    const optimizer = makeOptimizer(cfg, model);
    const scheduler = makeLrScheduler(cfg, optimizer);
    const parameters = model.parameters();
    const first = new Map<string, Float32Array>();
    for (const expected of e2e.losses) {
      expect(optimizer.paramGroups.map((group) => group.lr)).toEqual(
        expected.lr.map((lr: number) => expect.closeTo(lr, 12)),
      );
      const reported = new Map<string, number>();
      const { value, grads: found } = backward(
        () => {
          const { terms, loss, matches } = criterion.losses(model.forward(video, sizes), targets);
          for (const [name, term] of terms) reported.set(name, term);
          if (expected.iter === 1) {
            for (const [s, clips] of matches.entries()) {
              const pairs = clips.map((clip) => ({
                pred: clip.map((match) => match.query),
                gt: clip.map((match) => match.target),
              }));
              expect(pairs).toEqual(e2e.matching[`stage${s}`]);
            }
          }
          return loss;
        },
        parameters.map((parameter) => parameter.value),
      );
      expect([...reported.keys()]).toEqual(e2e.loss_dict_order);
      for (const [name, loss] of reported) {
        expectClose([loss], [expected.loss_dict[name]], 1e-4, `iteration ${expected.iter}: ${name}`);
        if (expected.iter === 1) expectClose([loss], io.get(`loss.${name}`)!.data, FORWARD, name);
      }
      if (expected.iter === 1)
        expectClose(value.dataSync(), io.get('loss.total')!.data, FORWARD, 'loss.total');
      for (const [i, parameter] of parameters.entries()) {
        parameter.grad = found[i];
        if (expected.iter !== 1) continue;
        const reference = grads.get(names[i]) ?? grads.get(`grad.${names[i]}`);
        if (!reference) throw new Error(`no reference gradient for ${names[i]}`);
        first.set(names[i], reference.data);
        const actual = found[i]!.dataSync();
        // A gradient that is truly zero (iof_tau of the first stage, where all boxes are equal) is rounding noise.
        const isNoise = (values: ArrayLike<number>) =>
          Array.from(values).every((x) => Math.abs(x) <= rounding);
        if (isNoise(reference.data) && isNoise(actual)) continue;
        expectClose(actual, reference.data, GRADIENT, names[i], e2e.noise_floor[`grad.${names[i]}`]);
      }
      optimizer.step();
      optimizer.zeroGrad();
      scheduler.step();
      value.dispose();
      const file = `e2e_weights_step${expected.iter}.safetensors`;
      if (!goldenExists(file)) continue;
      const stepped = goldenTensors(file);
      for (const [i, parameter] of parameters.entries()) {
        // Where the true gradient is zero, Adam divides rounding noise by rounding noise.
        const usable = Array.from(first.get(names[i])!.keys()).filter(
          (k) => Math.abs(first.get(names[i])![k]) >= 1e-5,
        );
        const actual = parameter.value.dataSync();
        const wanted = stepped.get(names[i])!.data;
        expectClose(
          usable.map((k) => actual[k]),
          usable.map((k) => wanted[k]),
          WEIGHTS,
          `${names[i]} after step ${expected.iter}`,
        );
      }
    }
  });
});

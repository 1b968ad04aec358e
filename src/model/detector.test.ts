/** @file The whole detector: checkpointing, memory, clip independence, other sizes than the goldens have. */
import { describe, expect, it } from 'vitest';
import { normals, randomize, type Values } from '../../test/support/finite_difference.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { tf } from '../engine/tfjs.js';
import { SetCriterion, type Target } from '../loss/criterion.js';
import { initializeParameters } from '../nn/module.js';
import { backward } from '../nn/tape.js';
import { Rng } from '../util/random.js';
import { Detector } from './detector.js';
import { NECK_LEVELS } from './neck.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

const targets: Target[] = [
  { boxes: [4, 6, 30, 40, 20, 10, 50, 44], labels: [1, 0, 1, 0, 1, 0], whwh: [64, 50, 64, 50] },
  { boxes: [0, 0, 20, 55], labels: [0, 0, 1], whwh: [40, 64, 40, 64] },
];
const whwh = targets.flatMap((target) => Array.from(target.whwh));
const video = normals([2, 4, 64, 64, 3], new Rng(1));

function makeDetector(changes: Readonly<Record<string, unknown>> = {}): Detector {
  const model = new Detector(tinyConfig(changes));
  initializeParameters(model, 3);
  return model;
}

/** One training step without the update: the loss terms by name, the gradients by parameter. */
function train(model: Detector, seed: number) {
  const cfg = tinyConfig();
  const criterion = new SetCriterion(cfg.MODEL.STM);
  const [x, sizes] = [tensor(video), tf.tensor2d(whwh, [2, 4])];
  const named = [...model.namedParameters()];
  const terms: Record<string, number> = {};
  const { value, grads } = backward(
    () => {
      const losses = criterion.losses(model.forward(x, sizes, new Rng(seed)), targets);
      for (const [name, term] of losses.terms) terms[name] = term;
      return losses.loss;
    },
    named.map(([, parameter]) => parameter.value),
  );
  const loss = value.dataSync()[0];
  const gradients = Object.fromEntries(
    named.map(([name], i) => [name, grads[i] && Array.from(grads[i].dataSync())]),
  );
  tf.dispose([x, sizes, value, ...grads.filter((grad) => grad !== null)]);
  return { loss, terms, gradients };
}

/** The predictions of every stage as numbers, without drop path. */
function predict(model: Detector, clips: Values, sizes: number[]): Record<string, Float32Array>[] {
  const stages = tf.tidy(() => model.forward(tensor(clips), tf.tensor2d(sizes, [sizes.length / 4, 4])));
  return stages.map((stage) => {
    const read = Object.entries(stage).map(([name, y]) => [name, y.dataSync() as Float32Array]);
    tf.dispose(Object.values(stage));
    return Object.fromEntries(read);
  });
}

describe('Detector', () => {
  it('gives every parameter a gradient, the same ones with USE_CHECKPOINT', () => {
    const changes = { 'ViT.DROP_PATH_RATE': 0.3, 'ViT.USE_LEARNABLE_POS_EMB': true };
    const results = [false, true].map((flag) => {
      const model = makeDetector({ ...changes, 'ViT.USE_CHECKPOINT': flag });
      // Zero weights, as some start, would hide gradients of what comes before them.
      randomize(model, new Rng(2), 0.3);
      const result = train(model, 5);
      model.dispose();
      return result;
    });
    expect(results[1]).toEqual(results[0]);
    expect(Object.keys(results[0].terms).length).toBe(8);
    expect(Object.values(results[0].terms).every(Number.isFinite)).toBe(true);
    for (const [name, gradient] of Object.entries(results[0].gradients)) {
      expect(gradient, name).not.toBeNull();
      expect(gradient!.every(Number.isFinite), name).toBe(true);
      // All queries of the first stage have the same box, so its bias is a constant that softmax cancels.
      if (name !== 'stm_head.decoder_stages.0.iof_tau') {
        expect(
          gradient!.some((value) => value !== 0),
          name,
        ).toBe(true);
      }
    }
  });

  it.each([false, true])('leaves no tensors behind from step to step, USE_CHECKPOINT %s', (flag) => {
    const model = makeDetector({ 'ViT.USE_CHECKPOINT': flag, 'ViT.DROP_PATH_RATE': 0.5 });
    train(model, 1);
    const before = tf.memory();
    for (const seed of [2, 3]) train(model, seed);
    predict(model.train(false), video, whwh);
    const after = tf.memory();
    expect([after.numTensors, after.numDataBuffers, after.numBytes]).toEqual([
      before.numTensors,
      before.numDataBuffers,
      before.numBytes,
    ]);
    model.dispose();
  });

  it('frees everything when disposed', () => {
    const before = tf.memory().numTensors;
    const model = makeDetector();
    expect(tf.memory().numTensors).toBe(before + model.parameters().length);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('returns the same in training without drop path as in evaluation', () => {
    const model = makeDetector({ 'ViT.DROP_PATH_RATE': 0.5 });
    const calm = predict(model, video, whwh);
    expect(predict(model.train(false), video, whwh)).toEqual(calm);
    model.dispose();
  });

  it('finds the same in a clip alone as in any batch', () => {
    const model = makeDetector();
    randomize(model, new Rng(5), 0.3);
    const together = predict(model, video, whwh);
    const size = video.data.length / 2;
    for (const b of [0, 1]) {
      const clip = { shape: [1, ...video.shape.slice(1)], data: video.data.slice(b * size, (b + 1) * size) };
      const alone = predict(model, clip, whwh.slice(4 * b, 4 * b + 4));
      for (const [s, stage] of alone.entries()) {
        for (const [name, values] of Object.entries(stage)) {
          const inBatch = together[s][name].subarray(b * values.length, (b + 1) * values.length);
          for (const [i, value] of values.entries()) {
            expect(Math.abs(inBatch[i] - value), `${name} of stage ${s}`).toBeLessThan(
              1e-3 * (1 + Math.abs(value)),
            );
          }
        }
      }
    }
    model.dispose();
  });

  it('starts every stage from the whole clip, since box changes are zero at first', () => {
    const model = makeDetector();
    for (const { boxes } of predict(model, video, whwh)) {
      for (const [i, value] of boxes.entries()) {
        const clip = whwh.slice(i < boxes.length / 2 ? 0 : 4).slice(0, 2);
        expect(value).toBeCloseTo(i % 4 < 2 ? 0 : clip[i % 2], 3);
      }
    }
    model.dispose();
  });

  it.each([
    [2, 2, 1],
    [8, 2, 4],
    [6, 3, 2],
  ])('works with %i frames in tubelets of %i', (frames, tubelet, steps) => {
    const model = makeDetector({
      'DATA.NUM_FRAMES': frames,
      'ViT.TUBELET_SIZE': tubelet,
      'MODEL.STM.TEMPORAL_POINTS': steps,
    });
    const stages = predict(model, normals([1, frames, 32, 64, 3], new Rng(6)), [60, 30, 60, 30]);
    expect(stages.length).toBe(2);
    for (const stage of stages) {
      expect(Object.values(stage).every((values) => values.every(Number.isFinite))).toBe(true);
    }
    model.dispose();
  });

  it('reports where its stages sampled, and leaves no tensors behind', () => {
    const model = makeDetector();
    randomize(model, new Rng(8), 0.3);
    const used: Float32Array[] = [];
    for (const { samplingmixing } of model.stm_head.decoder_stages) {
      const { points } = samplingmixing;
      samplingmixing.points = (queries) => {
        const result = points.call(samplingmixing, queries);
        used.push(result.dataSync() as Float32Array);
        return result;
      };
    }
    const [x, sizes] = [tensor(video), tf.tensor2d(whwh, [2, 4])];
    const predictions = model.forward(x, sizes);
    const before = tf.memory().numTensors;
    const told = model.samplePoints(predictions, sizes);
    expect(tf.memory().numTensors - before).toBe(2);
    expect(told.map(({ shape }) => shape)).toEqual([
      [2, 5, 6, 3],
      [2, 5, 6, 3],
    ]);
    const [first, second, ...again] = used;
    expect(again).toEqual([first, second]);
    expect(told.map((points) => points.dataSync())).toEqual([first, second]);
    tf.dispose([x, sizes, told, predictions.map((stage) => Object.values(stage))]);
    model.dispose();
  });

  it('has feature maps at strides 4, 8, 16 and 32', () => {
    const model = makeDetector();
    const maps = tf.tidy(() => model.features(tensor(normals([1, 4, 64, 96, 3], new Rng(7)))).maps);
    expect(maps.map(({ shape }) => shape)).toEqual(
      NECK_LEVELS.map(({ stride }) => [1, 2, 64 / stride, 96 / stride, 8]),
    );
    expect(NECK_LEVELS.map(({ scale, stride }) => scale * stride)).toEqual([16, 16, 16, 16]);
    tf.dispose(maps);
    model.dispose();
  });
});

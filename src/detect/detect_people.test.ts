/** @file People from the model's predictions: threshold, samples, numbers that are not finite, one box for one person. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { normals, randomize } from '../../test/support/finite_difference.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import type { Batch } from '../data/loading/collate.js';
import { tf } from '../engine/tfjs.js';
import { distinctPeople, namePeople, personBox } from '../evaluation/people.js';
import { Detector } from '../model/detector.js';
import { type Detections, toDetections } from '../model/inference.js';
import { initializeParameters } from '../nn/module.js';
import { Rng } from '../util/random.js';
import { detectPeople } from './detect_people.js';

const batch: Batch = {
  video: Float32Array.from(normals([2, 4, 64, 64, 3], new Rng(1)).data),
  shape: [2, 4, 64, 64, 3],
  whwh: Float32Array.of(64, 50, 64, 50, 40, 64, 40, 64),
  boxes: [],
  labels: [],
  clips: [0, 1].map((clipId) => ({ clipId, videoIndex: 0, videoName: 'v', second: clipId })),
};

describe('detectPeople', () => {
  let model: Detector;

  beforeAll(() => {
    model = new Detector(tinyConfig()).train(false);
    initializeParameters(model, 3);
    randomize(model, new Rng(5), 0.3);
  });

  afterAll(() => model.dispose());

  it('returns the detections of an evaluation, or none if no query reaches the threshold', async () => {
    const stages = tf.tidy(() =>
      model.forward(tf.tensor(batch.video, [...batch.shape]), tf.tensor2d(batch.whwh, [2, 4])),
    );
    const best = toDetections(stages.at(-1)!, batch.whwh, 0).map(({ personScores }) =>
      Math.max(...personScores),
    );
    const threshold = Math.min(...best);
    const expected = toDetections(stages.at(-1)!, batch.whwh, threshold);
    const before = tf.memory().numTensors;
    const found = await detectPeople(model, batch, { personThreshold: threshold, withSamples: false });
    expect(found.map(({ detections }) => detections)).toEqual(expected);
    expect(found.map(({ samples, notFinite }) => [samples, notFinite])).toEqual([
      [null, 0],
      [null, 0],
    ]);
    const nobody = await detectPeople(model, batch, { personThreshold: 1, withSamples: false });
    expect(nobody.map(({ detections }) => detections.boxes.length)).toEqual([0, 0]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(stages);
  });

  it('returns the sampling points of each person', async () => {
    const before = tf.memory().numTensors;
    const found = await detectPeople(model, batch, { personThreshold: 0, withSamples: true });
    expect(tf.memory().numTensors).toBe(before);
    for (const { detections, samples } of found) {
      expect(samples!.length).toBe(detections.personScores.length);
      for (const [start, next] of samples!) {
        expect(start.box).toEqual([0, 0, 1, 1]);
        expect(start.points.length).toBe(2 * 3 * 3);
        expect(start.points.every(Number.isFinite)).toBe(true);
        expect(next.points).not.toEqual(start.points);
        expect(next.box).not.toEqual(start.box);
      }
    }
  });

  it('counts and leaves out predictions that are not finite', async () => {
    const head = model.stm_head.decoder_stages[1].fc_action.bias!;
    const values = Float32Array.from(head.value.dataSync());
    head.set(Float32Array.from(values, () => Number.NaN));
    const found = await detectPeople(model, batch, { personThreshold: 0, withSamples: false });
    head.set(values);
    expect(found.map(({ notFinite, detections }) => [notFinite, detections.personScores.length])).toEqual([
      [5, 0],
      [5, 0],
    ]);
  });
});

describe('boxes outside the image', () => {
  it('are counted and left out', async () => {
    const model = new Detector(tinyConfig()).train(false);
    initializeParameters(model, 3);
    const [before] = await detectPeople(model, batch, { personThreshold: 0, withSamples: true });
    expect(before.withoutArea).toBe(0);
    // Every box of the last stage is moved to the right, by many times its own width.
    const move = model.stm_head.decoder_stages[1].fc_reg.bias!;
    move.set(Float32Array.of(100, 0, 0, 0));
    const found = await detectPeople(model, batch, { personThreshold: 0, withSamples: true });
    model.dispose();
    for (const { detections, samples, withoutArea } of found) {
      expect([detections.boxes.length, samples!.length, withoutArea]).toEqual([0, 0, 5]);
    }
  });
});

describe('distinctPeople and namePeople', () => {
  const detections: Detections = {
    boxes: Float32Array.of(0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 0.5, 0.5, 0.95, 1),
    personScores: Float32Array.of(0.7, 0.75, 0.9),
    actionScores: Float32Array.of(0.1, 0.9, 0.5, 0.2, 0.2, 0.2, 0.4, 0.6, 0.8),
  };
  const names = new Map([
    [1, 'stand'],
    [2, 'walk'],
  ]);

  it('keep the best of overlapping boxes', () => {
    expect(distinctPeople(detections)).toEqual([2, 0]);
  });

  it('leave out boxes without an area in five decimals', () => {
    const boxes = Float32Array.of(0.5, 0, 0.5, 1, 0, 0.2, 1, 0.1, 0.3, 0, 0.300001, 1, 0.3, 0, 0.30002, 1);
    const scores = Float32Array.of(0.9, 0.8, 0.7, 0.6);
    expect(distinctPeople({ boxes, personScores: scores, actionScores: new Float32Array(4) })).toEqual([3]);
  });

  it('return the most likely actions, by name or number', () => {
    const [best, other] = namePeople(detections, [2, 0], { names, threshold: 0.3, top: 3 });
    expect(best.actions.map(({ name }) => name)).toEqual(['walk', 'stand']);
    expect(other.actions.map(({ id }) => id)).toEqual([2]);
    expect(personBox(best)).toMatchObject({ labels: ['walk 0.60', 'stand 0.40'], kind: 'detection' });
    const [numbered] = namePeople(detections, [2], { names: null, threshold: 0.3, top: 2 });
    expect(numbered.actions.map(({ name }) => name)).toEqual(['action 3', 'action 2']);
    const [without] = namePeople(detections, [1], { names, threshold: 0.3, top: 3 });
    expect(personBox(without).labels).toEqual(['person 0.75']);
  });
});

/** @file What a model finds in clips: mirrored clips, predictions that are not finite, stopping in between. */
import { describe, expect, it } from 'vitest';
import type { Batch } from '../data/loading/collate.js';
import { tf } from '../engine/tfjs.js';
import type { Detector } from '../model/detector.js';
import { detectAll, detectBatch } from './detect_clips.js';

const WIDTH = 64;

function batch(clipId = 0): Batch {
  return {
    video: new Float32Array(1 * 1 * 32 * WIDTH * 3),
    shape: [1, 1, 32, WIDTH, 3],
    whwh: Float32Array.of(WIDTH, 32, WIDTH, 32),
    boxes: [],
    labels: [],
    clips: [{ clipId, videoIndex: 0, videoName: 'film', second: 902 + clipId }],
  };
}

/** A model of one query that sees the given box, in pixels, in every clip. */
function model(box: number[], action = 0): Detector {
  const fake = {
    training: true,
    modes: () => '',
    parameters: () => [],
    buffersInUse: () => [],
    train(mode: boolean) {
      fake.training = mode;
      return fake;
    },
    forward: () => [
      {
        logits: tf.tensor3d([[[9, 0]]]),
        actions: tf.tensor3d([[[action]]]),
        boxes: tf.tensor3d([[box]]),
      },
    ],
  };
  return fake as unknown as Detector;
}

describe('detectClips', () => {
  it('mirrors the detections of mirrored clips back', async () => {
    const settings = { personThreshold: 0.5, mirrored: false };
    const [straight] = await detectBatch(model([8, 4, 24, 20]), batch(), settings);
    expect([...straight.detections.boxes]).toEqual([8 / 64, 4 / 32, 24 / 64, 20 / 32]);
    // Pixel x of a mirrored image is pixel 63 − x of the image.
    const [back] = await detectBatch(model([39, 4, 55, 20]), batch(), { ...settings, mirrored: true });
    expect([...back.detections.boxes]).toEqual([8 / 64, 4 / 32, 24 / 64, 20 / 32]);
  });

  it('throws an error that names the clip if detections are not finite', async () => {
    const settings = { personThreshold: 0.5, mirrored: false };
    await expect(detectBatch(model([8, 4, 24, 20], Number.NaN), batch(3), settings)).rejects.toThrow(
      /not finite for film at second 905/,
    );
  });

  it('returns all batches in order, in evaluation mode, which it then leaves, and nothing if it is stopped', async () => {
    async function* batches() {
      yield batch(0);
      yield batch(1);
    }
    const settings = { personThreshold: 0.5, mirrored: false };
    const seen: number[] = [];
    const detector = model([8, 4, 24, 20]);
    const progress = ({ clips }: { clips: number }) => {
      expect(detector.training).toBe(false);
      seen.push(clips);
    };
    const found = await detectAll(detector, batches(), { ...settings, progress });
    expect(found?.map(({ clip }) => clip.clipId)).toEqual([0, 1]);
    expect(seen).toEqual([1, 2]);
    expect(detector.training).toBe(true);
    const stopped = await detectAll(detector, batches(), { ...settings, signal: AbortSignal.abort() });
    expect(stopped).toBeNull();
  });

  it('computes a batch in pieces', async () => {
    const [first, second] = [batch(0), batch(1)];
    async function* batches() {
      yield {
        ...first,
        video: new Float32Array(2 * first.video.length),
        shape: [2, ...first.shape.slice(1)] as unknown as Batch['shape'],
        whwh: Float32Array.of(...first.whwh, ...second.whwh),
        clips: [...first.clips, ...second.clips],
      };
    }
    // This model returns predictions for one clip.
    const settings = { personThreshold: 0.5, mirrored: false, clipsAtOnce: 1 };
    const found = await detectAll(model([8, 4, 24, 20]), batches(), settings);
    expect(found?.map(({ clip, detections }) => [clip.clipId, detections.boxes.length])).toEqual([
      [0, 4],
      [1, 4],
    ]);
  });
});

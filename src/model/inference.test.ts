/** @file From predictions to detections: threshold, fallback, order, clipping. */
import { describe, expect, it } from 'vitest';
import { tf } from '../engine/tfjs.js';
import { clipBox, toDetections } from './inference.js';

/** Logits whose softmax gives these probabilities of person and background. */
const personLogits = (p: number) => [Math.log(p), Math.log(1 - p)];

/** Detections of clips given by each query's person score; query q of clip b has the box [q, 2q, 10+q, 20+b]. */
function detect(scores: number[][], threshold: number, whwh = scores.flatMap(() => [100, 50, 100, 50])) {
  const [B, Q] = [scores.length, scores[0].length];
  const logits = tf.tensor(scores.flat().flatMap(personLogits), [B, Q, 2]);
  const actions = tf.tensor(
    scores.flatMap((clip, b) => clip.flatMap((_, q) => [q - b, 0, -q])),
    [B, Q, 3],
  );
  const boxes = tf.tensor(
    scores.flatMap((clip, b) => clip.flatMap((_, q) => [q, 2 * q, 10 + q, 20 + b])),
    [B, Q, 4],
  );
  const before = tf.memory().numTensors;
  const detections = toDetections({ logits, actions, boxes }, whwh, threshold);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([logits, actions, boxes]);
  return detections;
}

/** Which queries were kept, by the x1 of their boxes in a clip 100 wide. */
const queries = ({ boxes }: { boxes: Float32Array }) =>
  Array.from({ length: boxes.length / 4 }, (_, n) => Math.round(boxes[4 * n] * 100));

describe('toDetections', () => {
  it('keeps the queries that reach the threshold, in query order', () => {
    const [first, second] = detect(
      [
        [0.7, 0.1, 0.9, 0.65, 0.8],
        [0.1, 0.95, 0.2, 0.3, 0.4],
      ],
      0.6,
    );
    expect(queries(first)).toEqual([0, 2, 3, 4]);
    expect(queries(second)).toEqual([1]);
    for (const [i, score] of [0.7, 0.9, 0.65, 0.8].entries()) {
      expect(first.personScores[i]).toBeCloseTo(score, 5);
    }
  });

  it('falls back to the best three by score, clip by clip', () => {
    const [first, second] = detect(
      [
        [0.3, 0.1, 0.5, 0.2, 0.4],
        [0.1, 0.2, 0.3, 0.4, 0.7],
      ],
      0.6,
    );
    expect(queries(first)).toEqual([2, 4, 0]);
    expect(queries(second)).toEqual([4]);
  });

  it('keeps all queries if there are fewer than three', () => {
    expect(queries(detect([[0.1, 0.2]], 0.6)[0])).toEqual([1, 0]);
  });

  it('takes equal scores in query order', () => {
    expect(queries(detect([[0.2, 0.3, 0.3, 0.3, 0.3]], 0.6)[0])).toEqual([1, 2, 3]);
  });

  it('keeps a query whose score equals the threshold', () => {
    // Softmax of equal logits is ½ exactly.
    expect(queries(detect([[0.5, 0.4, 0.5, 0.3]], 0.5)[0])).toEqual([0, 2]);
  });

  it('compares scores with the threshold in float32, as PyTorch does', () => {
    const [score] = detect([[0.7, 0.1, 0.2, 0.3]], 0.6)[0].personScores;
    // Rounds to the score itself.
    expect(queries(detect([[0.7, 0.1, 0.2, 0.3]], score + 1e-9)[0])).toEqual([0]);
    expect(queries(detect([[0.7, 0.1, 0.2, 0.3]], score + 1e-6)[0]).length).toBe(3);
  });

  it('returns actions as sigmoids of the kept queries', () => {
    const [, second] = detect(
      [
        [0.9, 0.1],
        [0.1, 0.9],
      ],
      0.6,
    );
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    expect(second.actionScores.length).toBe(3);
    for (const [k, logit] of [0, 0, -1].entries()) {
      expect(second.actionScores[k]).toBeCloseTo(sigmoid(logit), 6);
    }
  });

  it('clips boxes to the pixels of their own clip and divides by its size', () => {
    const [first, second] = detect([[0.9], [0.9]], 0.6, [8, 16, 8, 16, 100, 200, 100, 200]);
    // Box [0, 0, 10, 20] in 8×16, box [0, 0, 10, 21] in 100×200.
    for (const [i, x] of [0, 0, 7 / 8, 15 / 16].entries()) expect(first.boxes[i]).toBeCloseTo(x, 6);
    for (const [i, x] of [0, 0, 0.1, 0.105].entries()) expect(second.boxes[i]).toBeCloseTo(x, 6);
  });
});

describe('clipBox', () => {
  it.each([
    [
      [-5, -6, 200, 300],
      [0, 0, 99, 49],
    ],
    [
      [10, 20, 30, 40],
      [10, 20, 30, 40],
    ],
    [
      [120, 60, 130, 70],
      [99, 49, 99, 49],
    ],
    [
      [-9, -9, -1, -1],
      [0, 0, 0, 0],
    ],
  ])('clips %j to %j in 100×50', (box, expected) => {
    expect(clipBox(box, 100, 50)).toEqual(expected);
  });
});

/** @file The criterion against the formulas in double precision: padding, missing targets, supervision, gradients. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values, values } from '../../test/support/finite_difference.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { tf } from '../engine/tfjs.js';
import { backward } from '../nn/tape.js';
import { Rng } from '../util/random.js';
import { type LossName, SetCriterion, type Target } from './criterion.js';
import type { Match } from './matcher.js';
import { generalizedIou } from './overlap.js';

const [Q, K] = [4, 3];
const WEIGHTS = { loss_ce: 2, loss_bbox: 5, loss_giou: 3, loss_bce: 24 };
const BACKGROUND = 0.1;

function makeCriterion(intermediate = true): SetCriterion {
  return new SetCriterion(
    tinyConfig({
      'MODEL.STM.OBJECT_WEIGHT': WEIGHTS.loss_ce,
      'MODEL.STM.L1_WEIGHT': WEIGHTS.loss_bbox,
      'MODEL.STM.GIOU_WEIGHT': WEIGHTS.loss_giou,
      'MODEL.STM.ACTION_WEIGHT': WEIGHTS.loss_bce,
      'MODEL.STM.BACKGROUND_WEIGHT': BACKGROUND,
      'MODEL.STM.INTERMEDIATE_SUPERVISION': intermediate,
    }).MODEL.STM,
  );
}

/** One stage's predictions on the host. */
interface HostStage {
  logits: Values;
  actions: Values;
  boxes: Values;
}

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);
const upload = (stage: HostStage) => ({
  logits: tensor(stage.logits),
  actions: tensor(stage.actions),
  boxes: tensor(stage.boxes),
});

const size = [100, 80, 100, 80];

function randomBox(rng: Rng): number[] {
  const [x, y] = [rng.uniformBetween(0, 70), rng.uniformBetween(0, 50)];
  return [x, y, x + rng.uniformBetween(5, 30), y + rng.uniformBetween(5, 30)];
}

function randomStages(count: number, B: number, seed: number): HostStage[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => ({
    logits: normals([B, Q, 2], rng),
    actions: normals([B, Q, K], rng, 2),
    boxes: values([B, Q, 4], Array.from({ length: B * Q }, () => randomBox(rng)).flat()),
  }));
}

/** One clip's targets per entry of `counts`, with that many boxes. */
function randomTargets(counts: number[], seed: number): Target[] {
  const rng = new Rng(seed);
  return counts.map((count) => ({
    boxes: Array.from({ length: count }, () => randomBox(rng)).flat(),
    labels: Array.from({ length: count * K }, () => rng.int(2)),
    whwh: size,
  }));
}

/** The weighted terms of a stage as the formulas say, given the matched pairs. */
function reference(stage: HostStage, targets: Target[], matches: Match[][]): Record<LossName, number> {
  const B = targets.length;
  const numBoxes = Math.max(
    1,
    targets.reduce((sum, target) => sum + target.boxes.length / 4, 0),
  );
  const total = { loss_ce: 0, loss_bbox: 0, loss_giou: 0, loss_bce: 0 };
  let classWeight = 0;
  let pairs = 0;
  for (let b = 0; b < B; b++) {
    for (let q = 0; q < Q; q++) {
      const row = b * Q + q;
      const match = matches[b].find(({ query }) => query === q);
      const [target, weight] = match ? [0, 1] : [1, BACKGROUND];
      const logits = stage.logits.data.subarray(2 * row, 2 * row + 2);
      total.loss_ce += weight * (Math.log(Math.exp(logits[0]) + Math.exp(logits[1])) - logits[target]);
      classWeight += weight;
      if (!match) continue;
      pairs++;
      const { boxes, labels, whwh } = targets[b];
      total.loss_giou += 1 - generalizedIou(stage.boxes.data, 4 * row, boxes, 4 * match.target);
      for (let c = 0; c < 4; c++) {
        total.loss_bbox += Math.abs(stage.boxes.data[4 * row + c] - boxes[4 * match.target + c]) / whwh[c];
      }
      for (let k = 0; k < K; k++) {
        const p = 1 / (1 + Math.exp(-stage.actions.data[row * K + k]));
        total.loss_bce -= Math.log(labels[match.target * K + k] ? p : 1 - p);
      }
    }
  }
  return {
    loss_ce: (WEIGHTS.loss_ce * total.loss_ce) / classWeight,
    loss_bbox: (WEIGHTS.loss_bbox * total.loss_bbox) / numBoxes,
    loss_giou: (WEIGHTS.loss_giou * total.loss_giou) / numBoxes,
    loss_bce: pairs ? (WEIGHTS.loss_bce * total.loss_bce) / (pairs * K) : 0,
  };
}

/** Terms as numbers, the matching, and whether all gradients are finite. */
function evaluate(criterion: SetCriterion, stages: HostStage[], targets: Target[]) {
  const inputs = stages.map(upload);
  const variables = inputs.flatMap((stage) => Object.values(stage));
  let terms = new Map<string, number>();
  let matches: Match[][][] = [];
  const { value, grads } = backward(() => {
    const losses = criterion.losses(inputs, targets);
    ({ terms, matches } = losses);
    return losses.loss;
  }, variables);
  const gradients = grads.map((grad) => grad && Array.from(grad.dataSync()));
  const loss = value.dataSync()[0];
  tf.dispose([value, ...variables, ...grads.filter((grad) => grad !== null)]);
  return { terms, matches, loss, gradients };
}

/** Compares all terms of all stages with the reference. */
function expectReference(result: ReturnType<typeof evaluate>, stages: HostStage[], targets: Target[]): void {
  const last = stages.length - 1;
  for (const [s, stage] of stages.entries()) {
    for (const [name, expected] of Object.entries(reference(stage, targets, result.matches[s]))) {
      const term = result.terms.get(s === last ? name : `${name}_${s}`)!;
      expect(Math.abs(term - expected), `${name} of stage ${s}`).toBeLessThan(
        1e-5 * (1 + Math.abs(expected)),
      );
    }
  }
}

describe('SetCriterion', () => {
  it.each([[[1]], [[2]], [[3]], [[4]], [[2, 1]], [[3, 2]], [[0, 3]], [[3, 0, 2, 4]], [[6]], [[7, 1]]])(
    'computes the terms of clips with %j boxes',
    (counts) => {
      const [stages, targets] = [randomStages(2, counts.length, 1), randomTargets(counts, 2)];
      const result = evaluate(makeCriterion(), stages, targets);
      for (const stage of result.matches) {
        // More boxes than queries: the best ones are matched, and all count in the divisor.
        expect(stage.map((clip) => clip.length)).toEqual(counts.map((count) => Math.min(count, Q)));
      }
      expectReference(result, stages, targets);
      expect(result.gradients.flat().every((gradient) => Number.isFinite(gradient))).toBe(true);
    },
  );

  it('is finite for a batch without any target, and rewards background', () => {
    const stages = randomStages(2, 2, 3);
    const result = evaluate(makeCriterion(), stages, randomTargets([0, 0], 1));
    expectReference(result, stages, randomTargets([0, 0], 1));
    for (const name of ['loss_bce', 'loss_bbox', 'loss_giou', 'loss_bce_0', 'loss_bbox_0', 'loss_giou_0']) {
      expect(result.terms.get(name), name).toBe(0);
    }
    expect(result.terms.get('loss_ce')).toBeGreaterThan(0);
    const [logits, actions, boxes] = result.gradients;
    expect(logits!.every((gradient, i) => (i % 2 === 0 ? gradient > 0 : gradient < 0))).toBe(true);
    for (const gradients of [actions, boxes]) expect(gradients!.every((x) => x === 0)).toBe(true);
  });

  it('ignores boxes that are not matched', () => {
    // The first clip has no targets; its first box is finite, but its area is not in single precision.
    const [stages, targets] = [randomStages(1, 2, 4), randomTargets([0, 3], 5)];
    stages[0].boxes.data.set([-1e19, -1e19, 1e19, 1e19]);
    const result = evaluate(makeCriterion(), stages, targets);
    expectReference(result, stages, targets);
    expect(result.gradients.flat().every((gradient) => Number.isFinite(gradient))).toBe(true);
  });

  it('divides L1 by the size of each clip', () => {
    const [stages, targets] = [randomStages(1, 2, 6), randomTargets([2, 2], 7)];
    targets[1].whwh = [200, 300, 200, 300];
    expectReference(evaluate(makeCriterion(), stages, targets), stages, targets);
  });

  it('names and orders the terms as PyTorch does: the last stage first', () => {
    const [stages, targets] = [randomStages(3, 1, 8), randomTargets([1], 9)];
    expect([...evaluate(makeCriterion(), stages, targets).terms.keys()]).toEqual([
      'loss_bce',
      'loss_ce',
      'loss_giou',
      'loss_bbox',
      ...[0, 1].flatMap((s) => [`loss_ce_${s}`, `loss_giou_${s}`, `loss_bbox_${s}`, `loss_bce_${s}`]),
    ]);
  });

  it('uses only the last stage without intermediate supervision', () => {
    const [stages, targets] = [randomStages(3, 2, 10), randomTargets([2, 1], 11)];
    const whole = evaluate(makeCriterion(), stages, targets);
    const single = evaluate(makeCriterion(false), stages, targets);
    expect([...single.terms]).toEqual([...whole.terms].slice(0, 4));
    expect(single.matches).toEqual(whole.matches.slice(-1));
    expect(single.gradients.slice(0, 6)).toEqual([null, null, null, null, null, null]);
    expect(single.loss).toBeCloseTo([...single.terms.values()].reduce((a, b) => a + b, 0) / 4, 5);
  });

  it('minimises the mean of the terms', () => {
    const result = evaluate(makeCriterion(), randomStages(3, 2, 12), randomTargets([2, 1], 13));
    expect(result.terms.size).toBe(12);
    expect(result.loss).toBeCloseTo([...result.terms.values()].reduce((a, b) => a + b, 0) / 12, 5);
  });

  // One term at a time, so that none hides in the rounding of another.
  it.each(Object.keys(WEIGHTS) as LossName[])('has the right gradients of %s in all stages', (term) => {
    const [stages, targets] = [randomStages(2, 2, 14), randomTargets([2, 1], 15)];
    const criterion = makeCriterion();
    for (const name of Object.keys(WEIGHTS) as LossName[]) if (name !== term) criterion.weights[name] = 0;
    const [first] = evaluate(criterion, stages, targets).matches;
    const inputs = stages.flatMap((stage) => Object.values(stage));
    const dependsOn = { loss_ce: 0, loss_bce: 1, loss_bbox: 2, loss_giou: 2 }[term];
    const constant = [0, 1, 2, 3, 4, 5].filter((i) => i % 3 !== dependsOn);
    expectGradients(
      (...xs) => {
        const predictions = [0, 1].map((s) => ({
          logits: xs[3 * s],
          actions: xs[3 * s + 1],
          boxes: xs[3 * s + 2],
        }));
        const { loss, matches } = criterion.losses(predictions, targets);
        // Steps must not change the matching, or the derivative would jump.
        expect(matches[0]).toEqual(first);
        return loss;
      },
      inputs as Values[],
      { constant },
    );
  });

  it('is exact for logits of any size', () => {
    const [stages, targets] = [randomStages(1, 1, 20), randomTargets([1], 21)];
    stages[0].logits.data.set([1000, -1000, -1e30, 1e30, -1000, 1000, 0, 0]);
    stages[0].actions.data.set(Array.from({ length: Q }, () => [1000, -1000, 1e30]).flat());
    targets[0].labels = [1, 1, 0];
    const { terms, gradients } = evaluate(makeCriterion(), stages, targets);
    // Of the action logits the first is right, the others are off by their size.
    expect(terms.get('loss_bce')! / ((WEIGHTS.loss_bce * 1e30) / K)).toBeCloseTo(1, 6);
    expect(gradients.flat().every((gradient) => Number.isFinite(gradient))).toBe(true);
    const matched = gradients[1]!.filter((gradient) => gradient !== 0);
    expect(matched).toEqual([-1, 1].map((sign) => expect.closeTo((sign * WEIGHTS.loss_bce) / K / 4, 5)));
  });

  it('leaves no tensors behind', () => {
    const [stages, targets] = [randomStages(2, 2, 16), randomTargets([2, 1], 17)];
    const before = tf.memory().numTensors;
    evaluate(makeCriterion(), stages, targets);
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each(['logits', 'boxes', 'actions'] as const)('names the clip if its %s are not finite', (part) => {
    const [stages, targets] = [randomStages(2, 3, 18), randomTargets([1, 2, 1], 19)];
    const { data } = stages[1][part];
    data.fill(Number.NaN, data.length / 3, (2 * data.length) / 3);
    const [whole, inputs] = tf.tidy(() => {
      const gathered = makeCriterion().gather(stages.map(upload));
      return [gathered.dataSync() as Float32Array, gathered.shape] as never;
    }) as unknown as [Float32Array, number[]];
    const { terms, total, notFinite } = makeCriterion().evaluate(whole, inputs, targets);
    expect(notFinite).toEqual([1]);
    expect(total).toBeNaN();
    const bad = [...terms].flatMap(([name, term]) => (Number.isFinite(term) ? [] : [name]));
    // Without a matching no term is defined; action scores take no part in it.
    expect(bad).toEqual(
      part === 'actions' ? ['loss_bce'] : ['loss_bce', 'loss_ce', 'loss_giou', 'loss_bbox'],
    );
  });

  it.each([
    [
      [2, 0, 3, 1],
      [1, 3],
    ],
    [
      [0, 0, 6],
      [2, 1],
    ],
    [
      [1, 2, 3],
      [1, 1, 1],
    ],
    [
      [0, 0],
      [1, 1],
    ],
  ])('gives micro-batches with %j boxes their shares of the loss', (counts, sizes) => {
    const criterion = makeCriterion();
    const [B, S, width] = [counts.length, 2, 2 + 4 + K];
    const rng = new Rng(30);
    const targets = randomTargets(counts, 31);
    const rows = Array.from({ length: S * B * Q }, () => [
      ...normals([2], rng).data,
      ...randomBox(rng),
      ...normals([K], rng).data,
    ]);
    const whole = criterion.evaluate(Float32Array.from(rows.flat()), [S * B, Q, width], targets);
    const gradient = new Float32Array(whole.gradient.length);
    const terms = new Map<string, number>();
    let total = 0;
    let first = 0;
    for (const count of sizes) {
      const clips = Array.from({ length: S }, (_, s) => (s * B + first) * Q);
      const part = clips.flatMap((row) => rows.slice(row, row + count * Q));
      const share = criterion.evaluate(
        Float32Array.from(part.flat()),
        [S * count, Q, width],
        targets.slice(first, first + count),
        targets.map(({ boxes }) => boxes.length / 4),
      );
      total += share.total;
      for (const [name, term] of share.terms) terms.set(name, (terms.get(name) ?? 0) + term);
      for (const [s, row] of clips.entries()) {
        const size = count * Q * width;
        gradient.set(share.gradient.subarray(s * size, (s + 1) * size), row * width);
      }
      first += count;
    }
    expect(gradient).toEqual(whole.gradient);
    expect(total).toBeCloseTo(whole.total, 12);
    for (const [name, term] of whole.terms) expect(terms.get(name), name).toBeCloseTo(term, 12);
  });

  it('holds the class weights that PyTorch keeps as a buffer', () => {
    expect(Array.from(makeCriterion().classWeights)).toEqual([1, Math.fround(BACKGROUND)]);
  });
});

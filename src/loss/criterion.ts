/**
 * @file The training loss: matching and four terms for each stage, with their gradient, in double precision on the host.
 *
 * Shapes: B clips, Q queries, K actions.
 */
import type { Config } from '../config/index.js';
import { tf } from '../engine/tfjs.js';
import { differentiable } from '../nn/tape.js';
import { type Match, matchClip } from './matcher.js';
import { generalizedIouGradient } from './overlap.js';

/** The predictions of one decoder stage that the loss needs. */
export interface Prediction {
  /** Logits of person and background, [B, Q, 2]. */
  logits: tf.Tensor;
  /** Logits of the actions, [B, Q, K]. */
  actions: tf.Tensor;
  /** Corners in pixels, [B, Q, 4]. */
  boxes: tf.Tensor;
}

/** The targets of one clip with n people. */
export interface Target {
  /** Corners in pixels, [n, 4]. */
  boxes: ArrayLike<number>;
  /** Actions as 0 and 1, [n, K]. */
  labels: ArrayLike<number>;
  /** Width, height, width, height of the clip before padding. */
  whwh: ArrayLike<number>;
}

export type LossName = 'loss_ce' | 'loss_bbox' | 'loss_giou' | 'loss_bce';

/** The loss of a batch, or the share of one micro-batch in it. */
export interface Losses {
  /** Weighted terms by name, in PyTorch's order. */
  terms: Map<string, number>;
  /** Mean of the terms; training minimises it. */
  total: number;
  /** Matched pairs by stage and clip; empty for the clips in `notFinite`. */
  matches: Match[][][];
  /** Indices of clips with predictions that are not finite or cannot be matched; the loss is NaN if there are any. */
  notFinite: number[];
}

type Terms = Record<LossName, number>;

const PERSON = 0;

/** The terms of a decoder stage with a clip that cannot be matched. */
const UNDEFINED_TERMS: Terms = {
  loss_ce: Number.NaN,
  loss_bbox: Number.NaN,
  loss_giou: Number.NaN,
  loss_bce: Number.NaN,
};

/** Columns of a query's row in the gathered predictions: logits, the box, actions. */
class RowLayout {
  /** First column of the box, and of the actions; the logits begin at 0. */
  readonly box: number;
  readonly actions: number;
  readonly numActions: number;

  constructor(
    readonly numClasses: number,
    readonly width: number,
  ) {
    this.box = numClasses;
    this.actions = numClasses + 4;
    this.numActions = width - this.actions;
  }
}

/** The rows of one decoder stage: query q of clip b is row b · numQueries + q. */
interface StageRows {
  readonly predictions: Float32Array;
  /** Derivatives of the loss, in the layout of the predictions. */
  readonly gradient: Float32Array;
  readonly numQueries: number;
  readonly layout: RowLayout;
}

const sum = (xs: readonly number[]) => xs.reduce((total, x) => total + x, 0);

/** Set-prediction loss with Hungarian matching in every decoder stage. */
export class SetCriterion {
  readonly weights: Terms;
  /** The buffer `empty_weight` of the PyTorch module: weight of person and of background. */
  readonly classWeights: Float32Array;
  readonly #intermediate: boolean;

  constructor(stm: Config['MODEL']['STM']) {
    this.weights = {
      loss_ce: stm.OBJECT_WEIGHT,
      loss_bbox: stm.L1_WEIGHT,
      loss_giou: stm.GIOU_WEIGHT,
      loss_bce: stm.ACTION_WEIGHT,
    };
    this.classWeights = new Float32Array(stm.OBJECT_CLASSES + 1).fill(1);
    this.classWeights[stm.OBJECT_CLASSES] = stm.BACKGROUND_WEIGHT;
    this.#intermediate = stm.INTERMEDIATE_SUPERVISION;
  }

  /** Computes the loss as `evaluate` does, and as a differentiable scalar. */
  losses(stages: readonly Prediction[], targets: readonly Target[]): Losses & { loss: tf.Scalar } {
    const all = this.gather(stages);
    const { gradient, ...losses } = this.evaluate(all.dataSync() as Float32Array, all.shape, targets);
    const loss = differentiable(
      [all],
      () => tf.scalar(losses.total),
      (dy) => [tf.tensor(gradient, all.shape).mul(dy)],
    ) as tf.Scalar;
    return { ...losses, loss };
  }

  /**
   * Gathers the predictions that the loss depends on: one row of logits, box and actions for each supervised stage, clip and
   * query, [stages · B, Q, classes + 4 + K]. A single tensor needs one read from the engine, and one gradient.
   */
  gather(stages: readonly Prediction[]): tf.Tensor3D {
    const supervised = this.#intermediate ? stages : stages.slice(-1);
    return tf.concat(
      supervised.map(({ logits, boxes, actions }) => tf.concat([logits, boxes, actions], -1) as tf.Tensor3D),
      0,
    );
  }

  /**
   * Computes the weighted loss terms of all stages and the derivatives of their mean. `predictions` is the content of
   * `gather`'s result, and the gradient has the same layout. The terms are `loss_bce`, `loss_ce`, `loss_giou` and
   * `loss_bbox` for the last stage, then the same names with the suffix `_i` for stage i. For a part of a batch,
   * `boxCounts` has the number of boxes of each clip of the whole batch; the terms and gradients of all parts then add up to
   * those of the batch.
   */
  evaluate(
    predictions: Float32Array,
    [rows, numQueries, width]: readonly number[],
    targets: readonly Target[],
    boxCounts: ArrayLike<number> = targets.map(({ boxes }) => boxes.length / 4),
  ): Losses & { gradient: Float32Array } {
    const numStages = rows / targets.length;
    const clipSize = numQueries * width;
    const stageSize = targets.length * clipSize;
    const layout = new RowLayout(this.classWeights.length, width);
    const factors = this.#factors(boxCounts, numQueries, layout.numActions);
    const gradient = new Float32Array(predictions.length);
    const notFinite = new Set<number>();
    const results = Array.from({ length: numStages }, (_, s) => {
      const rowsOfStage = (array: Float32Array) => array.subarray(s * stageSize, (s + 1) * stageSize);
      const stage = {
        predictions: rowsOfStage(predictions),
        gradient: rowsOfStage(gradient),
        numQueries,
        layout,
      };
      const found = this.#match(stage, targets);
      for (const [b, clip] of found.entries()) if (clip === null) notFinite.add(b);
      const matches = found.map((clip) => clip ?? []);
      const terms = this.#terms(stage, targets, matches, factors);
      return { matches, terms: found.includes(null) ? UNDEFINED_TERMS : terms };
    });
    const terms = inPyTorchOrder(results.map((result) => result.terms));
    for (let i = 0; i < gradient.length; i++) gradient[i] /= terms.size;
    const total = sum([...terms.values()]) / terms.size;
    if (!Number.isFinite(total)) {
      for (const [i, x] of predictions.entries())
        if (!Number.isFinite(x)) notFinite.add(Math.floor((i % stageSize) / clipSize));
    }
    const matches = results.map((result) => result.matches);
    return { terms, total, matches, notFinite: [...notFinite].sort((a, b) => a - b), gradient };
  }

  /**
   * Factors of the terms in every stage: weights over normalisers. They depend only on the number of matched queries, which
   * is min(Q, n) for a clip with n targets.
   */
  #factors(boxCounts: ArrayLike<number>, numQueries: number, numActions: number): Terms {
    const { classWeights, weights } = this;
    const counts = Array.from(boxCounts);
    const boxes = Math.max(1, sum(counts));
    const pairs = sum(counts.map((count) => Math.min(count, numQueries)));
    const background = counts.length * numQueries - pairs;
    const classTotal = pairs * classWeights[PERSON] + background * classWeights[classWeights.length - 1];
    return {
      loss_ce: weights.loss_ce / classTotal,
      loss_bbox: weights.loss_bbox / boxes,
      loss_giou: weights.loss_giou / boxes,
      loss_bce: weights.loss_bce / Math.max(1, pairs * numActions),
    };
  }

  /** Matches one stage. Returns the pairs of each clip, or null for a clip that cannot be matched. */
  #match({ predictions, numQueries, layout }: StageRows, targets: readonly Target[]): (Match[] | null)[] {
    const { weights } = this;
    const { numClasses, box, width } = layout;
    const cost = { l1: weights.loss_bbox, object: weights.loss_ce, giou: weights.loss_giou };
    return targets.map(({ boxes, whwh }, b) => {
      const person = new Float32Array(numQueries);
      const predicted = new Float32Array(4 * numQueries);
      for (let q = 0; q < numQueries; q++) {
        const offset = (b * numQueries + q) * width;
        person[q] = Math.exp(predictions[offset + PERSON] - logSumExp(predictions, offset, numClasses));
        for (let c = 0; c < 4; c++) predicted[4 * q + c] = predictions[offset + box + c];
      }
      return matchClip({ person, boxes: predicted }, boxes, whwh, cost);
    });
  }

  /** Computes the terms of one stage, and adds the derivatives of their sum to the stage's gradient. */
  #terms(stage: StageRows, targets: readonly Target[], matches: readonly Match[][], factors: Terms): Terms {
    const terms = {
      loss_ce: this.#classTerm(stage, matches, factors),
      loss_bbox: 0,
      loss_giou: 0,
      loss_bce: 0,
    };
    for (const [b, clip] of matches.entries()) {
      for (const { query, target } of clip) {
        const offset = (b * stage.numQueries + query) * stage.layout.width;
        addBoxTerms(stage, offset, { target: targets[b], index: target, factors, terms });
        addActionTerm(stage, offset, { target: targets[b], index: target, factors, terms });
      }
    }
    return terms;
  }

  /** Computes `loss_ce`, the cross entropy of person and background over all queries, and adds its derivatives. */
  #classTerm(
    { predictions, gradient, numQueries, layout }: StageRows,
    matches: readonly Match[][],
    factors: Terms,
  ) {
    const { numClasses, width } = layout;
    const classes = new Uint8Array(matches.length * numQueries).fill(numClasses - 1);
    for (const [b, clip] of matches.entries())
      for (const { query } of clip) classes[b * numQueries + query] = PERSON;
    let term = 0;
    for (let row = 0; row < classes.length; row++) {
      const [label, offset] = [classes[row], row * width];
      const factor = factors.loss_ce * this.classWeights[label];
      const normaliser = logSumExp(predictions, offset, numClasses);
      term += factor * (normaliser - predictions[offset + label]);
      for (let c = 0; c < numClasses; c++) {
        const probability = Math.exp(predictions[offset + c] - normaliser);
        gradient[offset + c] += factor * (probability - (c === label ? 1 : 0));
      }
    }
    return term;
  }
}

/** Target number `index` of a clip, and the terms to which its own are added. */
interface MatchedTarget {
  readonly target: Target;
  readonly index: number;
  readonly factors: Terms;
  readonly terms: Terms;
}

/** Adds `loss_bbox` and `loss_giou` of the row at `offset`, and their derivatives. */
function addBoxTerms(
  { predictions, gradient, layout }: StageRows,
  offset: number,
  { target: { boxes, whwh }, index, factors, terms }: MatchedTarget,
): void {
  const box = offset + layout.box;
  const giou = generalizedIouGradient(predictions, box, boxes, 4 * index);
  terms.loss_giou += factors.loss_giou * (1 - giou.value);
  for (let c = 0; c < 4; c++) {
    const difference = predictions[box + c] - boxes[4 * index + c];
    const factor = factors.loss_bbox / whwh[c];
    terms.loss_bbox += factor * Math.abs(difference);
    gradient[box + c] += factor * Math.sign(difference) - factors.loss_giou * giou.gradient[c];
  }
}

/** Adds `loss_bce` of the row at `offset`, and its derivatives. */
function addActionTerm(
  { predictions, gradient, layout: { actions, numActions } }: StageRows,
  offset: number,
  { target: { labels }, index, factors, terms }: MatchedTarget,
): void {
  for (let k = 0; k < numActions; k++) {
    const x = predictions[offset + actions + k];
    const z = labels[index * numActions + k];
    terms.loss_bce += factors.loss_bce * (Math.max(x, 0) - x * z + Math.log1p(Math.exp(-Math.abs(x))));
    gradient[offset + actions + k] += factors.loss_bce * (1 / (1 + Math.exp(-x)) - z);
  }
}

/** log Σ exp x over `count` elements from `offset`, safe for large x; NaN if any element is NaN. */
function logSumExp(xs: Float32Array, offset: number, count: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = offset; i < offset + count; i++) max = Math.max(max, xs[i]);
  let sum = 0;
  for (let i = offset; i < offset + count; i++) sum += Math.exp(xs[i] - max);
  return max + Math.log(sum);
}

/** Names the terms of all decoder stages in PyTorch's order, the last stage first. */
function inPyTorchOrder(stages: readonly Record<LossName, number>[]): Map<string, number> {
  const last = stages.length - 1;
  const terms = new Map<string, number>();
  for (const name of ['loss_bce', 'loss_ce', 'loss_giou', 'loss_bbox'] as const)
    terms.set(name, stages[last][name]);
  for (let s = 0; s < last; s++)
    for (const name of ['loss_ce', 'loss_giou', 'loss_bbox', 'loss_bce'] as const)
      terms.set(`${name}_${s}`, stages[s][name]);
  return terms;
}

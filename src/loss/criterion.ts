/**
 * @file The training loss: per stage, matching and four terms, with their gradient, in double precision on the host.
 *
 * Shapes: B clips, Q queries, K actions.
 */
import * as tf from '@tensorflow/tfjs';
import type { Config } from '../config/index.js';
import { differentiable } from '../nn/tape.js';
import { type Match, matchClip } from './matcher.js';
import { generalizedIouGradient } from './overlap.js';

/** The predictions of a decoder stage that the loss needs. */
export interface Prediction {
  /** Person and background, [B, Q, 2]. */
  logits: tf.Tensor;
  /** [B, Q, K]. */
  actions: tf.Tensor;
  /** Corners in pixels, [B, Q, 4]. */
  boxes: tf.Tensor;
}

/** One clip's targets: n boxes as corners in pixels [n, 4], their actions [n, K] as 0 and 1. */
export interface Target {
  boxes: ArrayLike<number>;
  labels: ArrayLike<number>;
  /** Width, height, width, height of the clip before padding. */
  whwh: ArrayLike<number>;
}

export type LossName = 'loss_ce' | 'loss_bbox' | 'loss_giou' | 'loss_bce';

/** The loss of a batch, or a micro-batch's share of it. */
export interface Losses {
  /** Weighted terms by name, in PyTorch's order. */
  terms: Map<string, number>;
  /** Mean of the terms, which training minimises. */
  total: number;
  /** The matched pairs per stage and clip; none for a clip that is in `notFinite`. */
  matches: Match[][][];
  /** Clips with a non-finite prediction, or that could not be matched; the loss is then NaN. */
  notFinite: number[];
}

type Terms = Record<LossName, number>;

const PERSON = 0;

/** Terms of a decoder stage in which a clip could not be matched. */
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

  /** The loss as `evaluate` computes it, and as a differentiable tensor. */
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
   * The predictions that the loss depends on: for each supervised stage, clip and query a row of logits, box and actions,
   * [stages · B, Q, classes + 4 + K]. One tensor needs one read, and one gradient to hand back.
   */
  gather(stages: readonly Prediction[]): tf.Tensor3D {
    const supervised = this.#intermediate ? stages : stages.slice(-1);
    return tf.concat(
      supervised.map(({ logits, boxes, actions }) => tf.concat([logits, boxes, actions], -1) as tf.Tensor3D),
      0,
    );
  }

  /**
   * The weighted loss terms of all stages: `loss_bce`, `loss_ce`, `loss_giou`, `loss_bbox` of the last, then with the
   * suffix `_i` those of stage i; and the derivatives of their mean, in the layout of `predictions`, `gather`'s.
   * For a micro-batch, `batchTargets` has the targets of the whole batch: terms and derivatives are then the clips' share
   * of the batch's, and add up to them.
   */
  evaluate(
    predictions: Float32Array,
    [rows, numQueries, width]: readonly number[],
    targets: readonly Target[],
    batchTargets: readonly Target[] = targets,
  ): Losses & { gradient: Float32Array } {
    const numStages = rows / targets.length;
    const clipSize = numQueries * width;
    const stageSize = targets.length * clipSize;
    const layout = new RowLayout(this.classWeights.length, width);
    const factors = this.#factors(batchTargets, numQueries, layout.numActions);
    const gradient = new Float32Array(predictions.length);
    const notFinite = new Set<number>();
    const results = Array.from({ length: numStages }, (_, s) => {
      const ofStage = (array: Float32Array) => array.subarray(s * stageSize, (s + 1) * stageSize);
      const stage = { predictions: ofStage(predictions), gradient: ofStage(gradient), numQueries, layout };
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
   * Factors of every stage's terms: weights over normalisers. The number of matched queries is enough for them, and the
   * targets determine it: min(Q, n) of each clip.
   */
  #factors(targets: readonly Target[], numQueries: number, numActions: number): Terms {
    const { classWeights, weights } = this;
    const counts = targets.map(({ boxes }) => boxes.length / 4);
    const boxes = Math.max(1, sum(counts));
    const pairs = sum(counts.map((count) => Math.min(count, numQueries)));
    const background = targets.length * numQueries - pairs;
    const classTotal = pairs * classWeights[PERSON] + background * classWeights[classWeights.length - 1];
    return {
      loss_ce: weights.loss_ce / classTotal,
      loss_bbox: weights.loss_bbox / boxes,
      loss_giou: weights.loss_giou / boxes,
      loss_bce: weights.loss_bce / Math.max(1, pairs * numActions),
    };
  }

  /** One stage's matched pairs by clip; null for a clip that cannot be matched. */
  #match({ predictions, numQueries, layout }: StageRows, targets: readonly Target[]): (Match[] | null)[] {
    const { weights } = this;
    const { numClasses, box, width } = layout;
    const cost = { l1: weights.loss_bbox, object: weights.loss_ce, giou: weights.loss_giou };
    return targets.map(({ boxes, whwh }, b) => {
      const person = new Float32Array(numQueries);
      const predicted = new Float32Array(4 * numQueries);
      for (let q = 0; q < numQueries; q++) {
        const row = predictions.subarray((b * numQueries + q) * width);
        person[q] = Math.exp(row[PERSON] - logSumExp(row.subarray(0, numClasses)));
        predicted.set(row.subarray(box, box + 4), 4 * q);
      }
      return matchClip({ person, boxes: predicted }, boxes, whwh, cost);
    });
  }

  /** One stage's terms; adds the derivatives of their sum to the stage's gradient. */
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

  /** Cross entropy of person and background over all queries, `loss_ce`. */
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
    for (const [row, label] of classes.entries()) {
      const offset = row * width;
      const factor = factors.loss_ce * this.classWeights[label];
      const logits = predictions.subarray(offset, offset + numClasses);
      const normaliser = logSumExp(logits);
      term += factor * (normaliser - logits[label]);
      for (const [c, x] of logits.entries())
        gradient[offset + c] += factor * (Math.exp(x - normaliser) - (c === label ? 1 : 0));
    }
    return term;
  }
}

/** A matched target: box and labels number `index` of a clip; its terms are added to `terms`. */
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

/** log Σ exp x, safe for large x. */
function logSumExp(xs: Float32Array): number {
  const max = Math.max(...xs);
  return max + Math.log(xs.reduce((sum, x) => sum + Math.exp(x - max), 0));
}

/** Names the terms of all decoder stages, the last stage first. */
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

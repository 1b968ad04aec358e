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

/** A stage's predictions, as far as the loss needs them. */
export interface Prediction {
  /** Person and background, [B, Q, 2]. */
  logits: tf.Tensor;
  /** [B, Q, K]. */
  actions: tf.Tensor;
  /** Corners in pixels, [B, Q, 4]. */
  boxes: tf.Tensor;
}

/** One clip's ground truth: n boxes as corners in pixels [n, 4], their actions [n, K] as 0 and 1. */
export interface Truth {
  boxes: ArrayLike<number>;
  labels: ArrayLike<number>;
  /** Width, height, width, height of the clip before padding. */
  whwh: ArrayLike<number>;
}

export type LossName = 'loss_ce' | 'loss_bbox' | 'loss_giou' | 'loss_bce';

/** The loss of a batch, or the share of it that some of its clips have. */
export interface Losses {
  /** Weighted terms by name, in PyTorch's order. */
  terms: Map<string, number>;
  /** Their mean, which is what is minimised. */
  total: number;
  /** The matched pairs per stage and clip; none for a clip that is in `notFinite`. */
  matches: Match[][][];
  /** Clips with a prediction that is not finite, or that could not be matched; the loss is NaN then. */
  notFinite: number[];
}

/** What normalises the terms of one stage. */
interface Factors {
  loss_ce: number;
  loss_bbox: number;
  loss_giou: number;
  loss_bce: number;
}

const PERSON = 0;

/** Of a stage where a clip could not be matched. */
const UNDEFINED_TERMS: Record<LossName, number> = {
  loss_ce: Number.NaN,
  loss_bbox: Number.NaN,
  loss_giou: Number.NaN,
  loss_bce: Number.NaN,
};

const sum = (xs: readonly number[]) => xs.reduce((total, x) => total + x, 0);

/** Set-prediction loss with Hungarian matching in every stage. */
export class SetCriterion {
  readonly weights: Record<LossName, number>;
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
  losses(stages: readonly Prediction[], truths: readonly Truth[]): Losses & { loss: tf.Scalar } {
    const all = this.gather(stages);
    const { gradient, ...losses } = this.evaluate(all.dataSync() as Float32Array, all.shape, truths);
    const loss = differentiable(
      [all],
      () => tf.scalar(losses.total),
      (dy) => [tf.tensor(gradient, all.shape).mul(dy)],
    ) as tf.Scalar;
    return { ...losses, loss };
  }

  /**
   * The predictions that the loss depends on: for each supervised stage, clip and query a row of logits, box and actions,
   * [stages · B, Q, classes + 4 + K]. One tensor, so that there is one read, and one gradient to hand back.
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
   * `batch` has the truths of the whole batch, where these clips are a part of one: terms and derivatives are the clips'
   * share of the batch's, and add up to them.
   */
  evaluate(
    predictions: Float32Array,
    [rows, Q, width]: readonly number[],
    truths: readonly Truth[],
    batch: readonly Truth[] = truths,
  ): Losses & { gradient: Float32Array } {
    const stages = rows / truths.length;
    const stageSize = truths.length * Q * width;
    const factors = this.#factors(batch, Q, width - this.classWeights.length - 4);
    const gradient = new Float32Array(predictions.length);
    const notFinite = new Set<number>();
    const results = Array.from({ length: stages }, (_, s) => {
      const part = (array: Float32Array) => array.subarray(s * stageSize, (s + 1) * stageSize);
      const found = this.#match(part(predictions), width, truths);
      for (const [b, clip] of found.entries()) if (clip === null) notFinite.add(b);
      const matches = found.map((clip) => clip ?? []);
      const terms = this.#terms(part(predictions), width, truths, matches, factors, part(gradient));
      return { matches, terms: found.includes(null) ? UNDEFINED_TERMS : terms };
    });
    const terms = inPyTorchOrder(results.map((result) => result.terms));
    for (let i = 0; i < gradient.length; i++) gradient[i] /= terms.size;
    const total = [...terms.values()].reduce((sum, term) => sum + term, 0) / terms.size;
    if (!Number.isFinite(total)) {
      for (const [i, x] of predictions.entries())
        if (!Number.isFinite(x)) notFinite.add(Math.floor((i % stageSize) / (Q * width)));
    }
    const matches = results.map((result) => result.matches);
    return { terms, total, matches, notFinite: [...notFinite].sort((a, b) => a - b), gradient };
  }

  /**
   * What every stage's terms are divided by, and their weights. Which queries are matched does not matter here, only how
   * many, and that the truths tell: min(Q, n) of each clip.
   */
  #factors(truths: readonly Truth[], Q: number, K: number): Factors {
    const { classWeights, weights } = this;
    const counts = truths.map(({ boxes }) => boxes.length / 4);
    const boxes = Math.max(1, sum(counts));
    const pairs = sum(counts.map((count) => Math.min(count, Q)));
    const classTotal =
      pairs * classWeights[PERSON] + (truths.length * Q - pairs) * classWeights[classWeights.length - 1];
    return {
      loss_ce: weights.loss_ce / classTotal,
      loss_bbox: weights.loss_bbox / boxes,
      loss_giou: weights.loss_giou / boxes,
      loss_bce: weights.loss_bce / Math.max(1, pairs * K),
    };
  }

  /**
   * One stage's matched pairs by clip, from its predictions: rows of logits, box and actions, of `width` numbers. Null for
   * a clip that cannot be matched.
   */
  #match(predictions: Float32Array, width: number, truths: readonly Truth[]): (Match[] | null)[] {
    const { classWeights, weights } = this;
    const classes = classWeights.length;
    const Q = predictions.length / width / truths.length;
    const cost = { l1: weights.loss_bbox, object: weights.loss_ce, giou: weights.loss_giou };
    return truths.map(({ boxes, whwh }, b) => {
      const person = new Float32Array(Q);
      const predicted = new Float32Array(4 * Q);
      for (let q = 0; q < Q; q++) {
        const row = (b * Q + q) * width;
        person[q] = Math.exp(predictions[row + PERSON] - logSumExp(predictions.subarray(row, row + classes)));
        predicted.set(predictions.subarray(row + classes, row + classes + 4), 4 * q);
      }
      return matchClip({ person, boxes: predicted }, boxes, whwh, cost);
    });
  }

  /** One stage's terms; adds the derivatives of their sum to `gradient`, which has the layout of the predictions. */
  #terms(
    predictions: Float32Array,
    width: number,
    truths: readonly Truth[],
    matches: readonly Match[][],
    factors: Factors,
    gradient: Float32Array,
  ): Record<LossName, number> {
    const { classWeights } = this;
    const classes = classWeights.length;
    const [box, action] = [classes, classes + 4];
    const K = width - action;
    const Q = predictions.length / width / truths.length;
    const targets = new Uint8Array(truths.length * Q).fill(classes - 1);
    for (const [b, clip] of matches.entries()) for (const { query } of clip) targets[b * Q + query] = PERSON;
    const terms = { loss_ce: 0, loss_bbox: 0, loss_giou: 0, loss_bce: 0 };

    for (const [r, target] of targets.entries()) {
      const row = r * width;
      const factor = factors.loss_ce * classWeights[target];
      const logits = predictions.subarray(row, row + classes);
      const sum = logSumExp(logits);
      terms.loss_ce += factor * (sum - logits[target]);
      for (const [c, x] of logits.entries())
        gradient[row + c] += factor * (Math.exp(x - sum) - (c === target ? 1 : 0));
    }
    for (const [b, clip] of matches.entries()) {
      const { boxes, labels, whwh } = truths[b];
      for (const { query, truth } of clip) {
        const row = (b * Q + query) * width;
        const giou = generalizedIouGradient(predictions, row + box, boxes, 4 * truth);
        terms.loss_giou += factors.loss_giou * (1 - giou.value);
        for (let c = 0; c < 4; c++) {
          const difference = predictions[row + box + c] - boxes[4 * truth + c];
          const factor = factors.loss_bbox / whwh[c];
          terms.loss_bbox += factor * Math.abs(difference);
          gradient[row + box + c] += factor * Math.sign(difference) - factors.loss_giou * giou.gradient[c];
        }
        for (let k = 0; k < K; k++) {
          const x = predictions[row + action + k];
          const z = labels[truth * K + k];
          terms.loss_bce += factors.loss_bce * (Math.max(x, 0) - x * z + Math.log1p(Math.exp(-Math.abs(x))));
          gradient[row + action + k] += factors.loss_bce * (1 / (1 + Math.exp(-x)) - z);
        }
      }
    }
    return terms;
  }
}

/** log Σ exp x, safe for large x. */
function logSumExp(xs: Float32Array): number {
  const most = Math.max(...xs);
  return most + Math.log(xs.reduce((sum, x) => sum + Math.exp(x - most), 0));
}

/** Names the terms of all stages, the last stage first. */
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

/**
 * @file The training loss: per stage, matching and four terms.
 *
 * Shapes: B clips, Q queries, K actions, M matched pairs of the batch, padded.
 */
import * as tf from '@tensorflow/tfjs';
import type { Config } from '../config/index.js';
import { noGrad } from '../nn/autograd.js';
import { abs, bceWithLogits } from '../nn/functional.js';
import { weightedRowSum } from '../nn/spatial.js';
import { type Match, matchClip } from './matcher.js';
import { generalizedIouPairs } from './overlap.js';

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

/** Weighted terms by name, in PyTorch's order, and the matched pairs per stage and clip. */
export interface Losses {
  terms: Map<string, tf.Scalar>;
  matches: Match[][][];
}

/** Host arrays of one stage's matched pairs. */
interface Pairs {
  /** Row b·Q + q of every pair, [M, 1]. */
  rows: tf.Tensor;
  /** 1 for a pair, 0 for padding, [M, 1]. */
  mask: tf.Tensor;
  boxes: tf.Tensor;
  labels: tf.Tensor;
  whwh: tf.Tensor;
  /** Class weights at the target class, 0 elsewhere, [B·Q, 2]. */
  classes: tf.Tensor;
  /** Sum of `classes`. */
  classTotal: number;
  count: number;
}

const PERSON = 0;

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

  /**
   * The weighted loss terms of all stages: `loss_bce`, `loss_ce`, `loss_giou`, `loss_bbox` of the last, then with the
   * suffix `_i` those of stage i. What is differentiated is their mean, see `meanLoss`.
   */
  losses(stages: readonly Prediction[], truths: readonly Truth[]): Losses {
    const supervised = this.#intermediate ? stages : stages.slice(-1);
    const matches = this.#match(supervised, truths);
    const last = supervised.length - 1;
    const perStage = supervised.map((stage, s) => this.#stageTerms(stage, truths, matches[s]));
    const terms = new Map<string, tf.Scalar>();
    const order: LossName[] = ['loss_ce', 'loss_giou', 'loss_bbox', 'loss_bce'];
    for (const name of ['loss_bce', 'loss_ce', 'loss_giou', 'loss_bbox'] as const) {
      terms.set(name, perStage[last][name]);
    }
    for (let s = 0; s < last; s++) for (const name of order) terms.set(`${name}_${s}`, perStage[s][name]);
    return { terms, matches };
  }

  /** Matches all stages with one read from the engine. */
  #match(stages: readonly Prediction[], truths: readonly Truth[]): Match[][][] {
    const [B, Q] = stages[0].boxes.shape;
    const together = noGrad(() =>
      tf.tidy(() => {
        const rows = stages.map(({ logits, boxes }) =>
          tf.concat([tf.softmax(logits).slice([0, 0, PERSON], [B, Q, 1]), boxes], -1),
        );
        return tf.concat(rows, 0);
      }),
    );
    const values = together.dataSync() as Float32Array;
    together.dispose();
    const person = new Float32Array(values.length / 5);
    const boxes = new Float32Array(person.length * 4);
    for (let i = 0; i < person.length; i++) {
      person[i] = values[5 * i];
      boxes.set(values.subarray(5 * i + 1, 5 * i + 5), 4 * i);
    }
    const weights = {
      l1: this.weights.loss_bbox,
      object: this.weights.loss_ce,
      giou: this.weights.loss_giou,
    };
    return stages.map((_, s) =>
      truths.map((truth, b) => {
        const from = (s * B + b) * Q;
        const prediction = {
          person: person.subarray(from, from + Q),
          boxes: boxes.subarray(4 * from, 4 * (from + Q)),
        };
        return matchClip(prediction, truth.boxes, truth.whwh, weights);
      }),
    );
  }

  #stageTerms(
    { logits, actions, boxes }: Prediction,
    truths: readonly Truth[],
    matches: readonly Match[][],
  ): Record<LossName, tf.Scalar> {
    return tf.tidy(() => {
      const [B, Q, K] = actions.shape;
      const pairs = noGrad(() => this.#pairs(truths, matches, Q, K));
      const matched = (rows: tf.Tensor) =>
        weightedRowSum(rows.reshape([B * Q, -1]), pairs.rows, tf.onesLike(pairs.mask));
      const numBoxes = Math.max(
        1,
        truths.reduce((sum, truth) => sum + truth.boxes.length / 4, 0),
      );
      const predicted = matched(boxes);
      const giou = generalizedIouPairs(predicted, pairs.boxes);
      const l1 = abs(predicted.sub(pairs.boxes).div(pairs.whwh));
      const bce = bceWithLogits(matched(actions), pairs.labels);
      const ce = tf
        .logSoftmax(logits.reshape([B * Q, -1]))
        .mul(pairs.classes)
        .sum()
        .neg();
      const weighted = (sum: tf.Tensor, name: LossName, divisor: number) =>
        sum.mul(tf.scalar(this.weights[name] / divisor)) as tf.Scalar;
      return {
        loss_ce: weighted(ce, 'loss_ce', pairs.classTotal),
        loss_bbox: weighted(l1.mul(pairs.mask).sum(), 'loss_bbox', numBoxes),
        loss_giou: weighted(giou.neg().add(1).mul(pairs.mask).sum(), 'loss_giou', numBoxes),
        loss_bce: weighted(bce.mul(pairs.mask).sum(), 'loss_bce', Math.max(1, pairs.count * K)),
      };
    });
  }

  /** Uploads one stage's pairs, padded to a power of two so that the number of boxes makes few different shapes. */
  #pairs(truths: readonly Truth[], matches: readonly Match[][], Q: number, K: number): Pairs {
    const count = matches.reduce((sum, clip) => sum + clip.length, 0);
    const M = 2 ** Math.ceil(Math.log2(Math.max(1, count)));
    const rows = new Int32Array(M);
    const mask = new Float32Array(M);
    const labels = new Float32Array(M * K);
    const whwh = new Float32Array(M * 4).fill(1);
    // Without any pair, the one of padding compares with a unit box, which keeps its (masked) terms finite.
    const boxes = Float32Array.from({ length: M * 4 }, (_, i) => (i % 4 < 2 ? 0 : 1));
    const background = this.classWeights.length - 1;
    const classes = new Float32Array(truths.length * Q * this.classWeights.length);
    for (let r = 0; r < truths.length * Q; r++) {
      classes[r * this.classWeights.length + background] = this.classWeights[background];
    }
    let m = 0;
    for (const [b, clip] of matches.entries()) {
      for (const { query, truth } of clip) {
        const row = b * Q + query;
        rows[m] = row;
        mask[m] = 1;
        for (let c = 0; c < 4; c++) {
          boxes[4 * m + c] = truths[b].boxes[4 * truth + c];
          whwh[4 * m + c] = truths[b].whwh[c];
        }
        for (let k = 0; k < K; k++) labels[m * K + k] = truths[b].labels[truth * K + k];
        classes[row * this.classWeights.length + background] = 0;
        classes[row * this.classWeights.length + PERSON] = this.classWeights[PERSON];
        m++;
      }
    }
    // Else padding repeats the first pair: it is as finite as what is matched.
    if (count > 0) {
      for (let p = count; p < M; p++) {
        rows[p] = rows[0];
        boxes.copyWithin(4 * p, 0, 4);
        whwh.copyWithin(4 * p, 0, 4);
      }
    }
    return {
      rows: tf.tensor2d(rows, [M, 1], 'int32'),
      mask: tf.tensor2d(mask, [M, 1]),
      boxes: tf.tensor2d(boxes, [M, 4]),
      labels: tf.tensor2d(labels, [M, K]),
      whwh: tf.tensor2d(whwh, [M, 4]),
      classes: tf.tensor2d(classes, [truths.length * Q, this.classWeights.length]),
      classTotal: classes.reduce((sum, weight) => sum + weight, 0),
      count,
    };
  }
}

/** What is minimised: the mean of the weighted terms. */
export function meanLoss(terms: ReadonlyMap<string, tf.Scalar>): tf.Scalar {
  return tf.addN([...terms.values()]).div(terms.size) as tf.Scalar;
}

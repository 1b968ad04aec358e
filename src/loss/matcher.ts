/** @file Hungarian matching of queries to targets, on the host. */
import { assign } from './assignment.js';
import { generalizedIou } from './overlap.js';

/** The indices of a query and of the target that it is matched to, within one clip. */
export interface Match {
  query: number;
  target: number;
}

/** Weights of the terms of a pair's cost. */
export interface MatchWeights {
  l1: number;
  object: number;
  giou: number;
}

/** Predictions for one clip: the probability of a person [Q], and corners in pixels [Q, 4]. */
export interface ClipPrediction {
  person: Float32Array;
  boxes: Float32Array;
}

/**
 * Finds the min(Q, n) pairs of minimum total cost, in the order of the queries, for n target boxes [n, 4] as corners and
 * whwh [4], the size of the clip. A pair costs l1·|Δbox/whwh| − object·p(person) − giou·GIoU. Returns null if a cost is not
 * finite.
 */
export function matchClip(
  { person, boxes }: ClipPrediction,
  targets: ArrayLike<number>,
  whwh: ArrayLike<number>,
  weights: MatchWeights,
): Match[] | null {
  const queries = person.length;
  const count = targets.length / 4;
  const cost = new Float64Array(count * queries);
  for (let t = 0; t < count; t++) {
    for (let q = 0; q < queries; q++) {
      let l1 = 0;
      for (let c = 0; c < 4; c++) l1 += Math.abs(boxes[4 * q + c] - targets[4 * t + c]) / whwh[c];
      const giou = generalizedIou(boxes, 4 * q, targets, 4 * t);
      const total = weights.l1 * l1 - weights.object * person[q] - weights.giou * giou;
      if (!Number.isFinite(total)) return null;
      cost[t * queries + q] = total;
    }
  }
  return assign(cost, count, queries)
    .map(([target, query]) => ({ query, target }))
    .sort((a, b) => a.query - b.query);
}

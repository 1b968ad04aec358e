/** @file Precision, recall and average precision, as the Pascal VOC development kit defines them. */

export interface PrecisionRecall {
  /** One entry per detection, in descending order of scores. */
  readonly scores: Float64Array;
  readonly precision: Float64Array;
  readonly recall: Float64Array;
}

/** Indices of `scores` in descending order; of equal scores the later one comes first, like numpy's reversed stable argsort. */
export function descendingOrder(scores: ArrayLike<number>): Uint32Array {
  const order = new Uint32Array(scores.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  return order.sort((a, b) => scores[b] - scores[a] || b - a);
}

/** The curve of a class from its detections in any order and the number of its true boxes. */
export function precisionRecall(
  scores: ArrayLike<number>,
  isTrue: ArrayLike<number>,
  numGroundTruth: number,
): PrecisionRecall {
  const order = descendingOrder(scores);
  const curve = {
    scores: new Float64Array(order.length),
    precision: new Float64Array(order.length),
    recall: new Float64Array(order.length),
  };
  let found = 0;
  order.forEach((index, rank) => {
    found += isTrue[index];
    curve.scores[rank] = scores[index];
    curve.precision[rank] = found / (rank + 1);
    curve.recall[rank] = found / numGroundTruth;
  });
  return curve;
}

/** Area under the curve, with every precision raised to the highest one at the same or a higher recall. */
export function averagePrecision({
  precision,
  recall,
}: Pick<PrecisionRecall, 'precision' | 'recall'>): number {
  let area = 0;
  let highest = 0;
  for (let i = precision.length - 1; i >= 0; i--) {
    highest = Math.max(highest, precision[i]);
    area += (recall[i] - (i > 0 ? recall[i - 1] : 0)) * highest;
  }
  return area;
}

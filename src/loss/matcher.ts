/** @file Hungarian matching of queries to targets, on the host. */
import { generalizedIou } from './overlap.js';

/** One matched pair: a query of a clip and one of the clip's targets. */
export interface Match {
  query: number;
  target: number;
}

export interface MatchWeights {
  l1: number;
  object: number;
  giou: number;
}

/** One clip's predictions: the probability of a person [Q], and corners [Q, 4]. */
export interface ClipPrediction {
  person: Float32Array;
  boxes: Float32Array;
}

/**
 * The pairs of minimum total cost, by rising query: min(queries, targets) of them. The cost of a pair is
 * l1·|boxes/whwh| − object·p(person) − giou·GIoU. Null if a cost is not finite.
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

/**
 * Pairs (row, column) of minimum total cost, min(rows, columns) of them; cost is [rows, columns], finite. Shortest
 * augmenting paths over reduced costs (Jonker and Volgenant, 1987; Crouse, 2016).
 */
export function assign(cost: Float64Array, rows: number, columns: number): [number, number][] {
  if (rows > columns) {
    const transposed = new Float64Array(cost.length);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) transposed[c * rows + r] = cost[r * columns + c];
    }
    return assign(transposed, columns, rows).map(([c, r]) => [r, c]);
  }
  const rowPrice = new Float64Array(rows);
  const columnPrice = new Float64Array(columns);
  const rowOf = new Int32Array(columns).fill(-1);
  const columnOf = new Int32Array(rows).fill(-1);
  const cameFrom = new Int32Array(columns);
  for (let start = 0; start < rows; start++) {
    const distance = new Float64Array(columns).fill(Number.POSITIVE_INFINITY);
    const settled = new Uint8Array(columns);
    const visitedRows = [start];
    let row = start;
    let reached = 0;
    let end = -1;
    while (end < 0) {
      let nearest = -1;
      for (let c = 0; c < columns; c++) {
        if (settled[c]) continue;
        const through = reached + cost[row * columns + c] - rowPrice[row] - columnPrice[c];
        if (through < distance[c]) {
          distance[c] = through;
          cameFrom[c] = row;
        }
        const closer = nearest < 0 || distance[c] < distance[nearest];
        // A free column ends the search sooner than a taken one that is as near.
        if (closer || (distance[c] === distance[nearest] && rowOf[c] < 0 && rowOf[nearest] >= 0)) nearest = c;
      }
      reached = distance[nearest];
      settled[nearest] = 1;
      if (rowOf[nearest] < 0) end = nearest;
      else {
        row = rowOf[nearest];
        visitedRows.push(row);
      }
    }
    for (const r of visitedRows) {
      rowPrice[r] += r === start ? reached : reached - distance[columnOf[r]];
    }
    for (let c = 0; c < columns; c++) if (settled[c]) columnPrice[c] -= reached - distance[c];
    for (let c = end; ; ) {
      const r = cameFrom[c];
      rowOf[c] = r;
      const next = columnOf[r];
      columnOf[r] = c;
      if (r === start) break;
      c = next;
    }
  }
  return Array.from(columnOf, (column, row) => [row, column]);
}

/**
 * @file Samples the feature pyramid at points that the queries choose.
 *
 * A point is the same at all time steps, so the maps are stored as rows [B·G·S, T·D]: S positions of all levels, G channel
 * groups of D features. The sample at a point is then one weighted sum of 4 levels × 4 neighbouring rows.
 * Shapes: B clips, Q queries, P points of a group.
 */
import { tf } from '../engine/tfjs.js';
import { weightedRowSum } from '../nn/spatial.js';
import { noGrad } from '../nn/tape.js';
import { boxSize, columns } from './boxes.js';

/** Width of the distribution over levels, and the z of a box that is sampled at level 0. */
const LEVEL_TAU = 2;
const LEVEL_OFFSET = 3;

/** One level of the pyramid. */
interface Level {
  height: number;
  width: number;
  stride: number;
  /** First row of this level among the S positions. */
  start: number;
}

/** The pyramid as a table of rows. It is made once per forward pass, and all decoder stages use it. */
export interface FeatureTable {
  rows: tf.Tensor;
  levels: Level[];
  positions: number;
  batch: number;
  groups: number;
  timeSteps: number;
}

/** Joins the maps [B, T, H_l, W_l, C] of all levels in one table. */
export function makeFeatureTable(
  maps: readonly tf.Tensor[],
  strides: readonly number[],
  groups: number,
): FeatureTable {
  const [B, T, , , C] = maps[0].shape;
  const levels: Level[] = [];
  let positions = 0;
  const tables = maps.map((map, l) => {
    const [, , height, width] = map.shape;
    levels.push({ height, width, stride: strides[l], start: positions });
    positions += height * width;
    return map.reshape([B, T, height * width, groups, C / groups]).transpose([0, 3, 2, 1, 4]);
  });
  const rows = tf.concat(tables, 2).reshape([B * groups * positions, (T * C) / groups]);
  return { rows, levels, positions, batch: B, groups, timeSteps: T };
}

/**
 * Makes points [B, Q, G·P, 3] = (x, y, level) from boxes xyzr [B, Q, 4] and offsets [B, Q, G·P·3] in units of the box's size.
 * x and y are in pixels; level is log2 of a size in pixels.
 */
export function makeSamplePoints(offsets: tf.Tensor, xyzr: tf.Tensor): tf.Tensor {
  const [B, Q, width] = offsets.shape;
  const [x, y, z, r] = columns(xyzr);
  const { w, h } = boxSize(z, r);
  const unit = tf.concat([w, h, tf.onesLike(z)], -1).reshape([B, Q, 1, 3]);
  const centre = tf.concat([x, y, z], -1).reshape([B, Q, 1, 3]);
  return offsets
    .reshape([B, Q, width / 3, 3])
    .mul(unit)
    .add(centre);
}

/** Weights of the levels l for points with these levels [N, 1]: the softmax of −(level − 3 − l)²/2. Returns [N, levels]. */
export function levelWeights(level: tf.Tensor, levels: number): tf.Tensor {
  const distance = level.sub(LEVEL_OFFSET).sub(tf.range(0, levels).reshape([1, levels]));
  return tf.softmax(distance.square().div(-LEVEL_TAU));
}

/**
 * Samples every level bilinearly at `points` [B, Q, G·P, 3], with zeros outside of the map, and sums over the levels with
 * their weights. Returns [B·Q·G, P, T, D].
 */
export function samplePoints(table: FeatureTable, points: tf.Tensor): tf.Tensor {
  const { levels, groups: G, timeSteps: T } = table;
  const [B, Q, GP] = points.shape;
  const N = B * Q * GP;
  const L = levels.length;
  const [xy, level] = tf.split(points.reshape([N, 3]), [2, 1], 1);

  // [axis x or y, near or far position, level, point]: engines are fast with long rows.
  const perLevel = (value: (level: Level) => number, dtype: 'float32' | 'int32' = 'float32') =>
    tf.tensor(levels.map(value), [1, 1, L, 1], dtype);
  const extent = tf.tensor(
    [levels.map(({ width }) => width), levels.map(({ height }) => height)].flat(),
    [2, 1, L, 1],
    'float32',
  );
  const sides = (near: number, far: number) => tf.tensor([near, far], [1, 2, 1, 1], 'float32');

  // Pixel centres: position p of a level is pixel (p + ½)·stride.
  const at = xy
    .transpose()
    .reshape([2, 1, 1, N])
    .mul(perLevel(({ stride }) => 1 / stride))
    .sub(0.5);
  const first = noGrad(() => at.floor());
  const position = noGrad(() => first.add(sides(0, 1)));
  const isInside = noGrad(() => position.greaterEqual(0).logicalAnd(position.less(extent)).toFloat());
  // The near position has weight 1 − fraction, the far one the fraction.
  const weight = at.sub(first).mul(sides(-1, 1)).add(sides(1, 0)).mul(isInside);
  // The second bound catches NaN, which passes the first one and must not become an index.
  const inRange = noGrad(() =>
    position.maximum(0).minimum(extent.sub(1)).toInt().maximum(tf.scalar(0, 'int32')),
  );

  // [row near or far, column near or far, level, point]
  const asColumn = (x: tf.Tensor) => x.reshape([1, 2, L, N]);
  const asRow = (x: tf.Tensor) => x.reshape([2, 1, L, N]);
  const perPoint = (x: tf.Tensor) => x.reshape([4 * L, N]).transpose();
  const [columnWeight, rowWeight] = tf.split(weight, 2, 0);
  const byLevel = levelWeights(level, L).transpose().reshape([1, 1, L, N]);
  const weights = perPoint(asRow(rowWeight).mul(byLevel).mul(asColumn(columnWeight)));
  const indices = noGrad(() => {
    const [column, row] = tf.split(inRange, 2, 0);
    const width = perLevel((l) => l.width, 'int32');
    const start = perLevel((l) => l.start, 'int32');
    const within = asRow(row).mul(width).add(asColumn(column)).add(start);
    return perPoint(within.add(firstRows(table, Q, GP).reshape([1, 1, 1, N])));
  });
  return weightedRowSum(table.rows, indices, weights).reshape([B * Q * G, GP / G, T, -1]);
}

/** Returns the first row in the table for the clip and group of every point, [B, Q, G, P] (int32). */
function firstRows({ batch: B, groups: G, positions }: FeatureTable, Q: number, GP: number): tf.Tensor {
  return tf
    .range(0, B * G, 1, 'int32')
    .mul(tf.scalar(positions, 'int32'))
    .reshape([B, 1, G, 1])
    .tile([1, Q, 1, GP / G]);
}

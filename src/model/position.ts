/** @file Position tables of the backbone, and how they are resized to the token grid of a clip. */
import { tf } from '../engine/tfjs.js';

/**
 * Makes the fixed table [positions, features], row-major: sine (even j) or cosine (odd j) of
 * position/10000^(2⌊j/2⌋/features).
 */
export function sinusoidTable(positions: number, features: number): Float32Array {
  const table = new Float32Array(positions * features);
  for (let j = 0; j < features; j++) {
    const divisor = 10000 ** ((2 * Math.floor(j / 2)) / features);
    const wave = j % 2 === 0 ? Math.sin : Math.cos;
    for (let p = 0; p < positions; p++) table[p * features + j] = wave(p / divisor);
  }
  return table;
}

/**
 * Makes the matrix [to, from] that resizes one axis as torch.nn.functional.interpolate(mode='bicubic') does: by cubic
 * convolution with a = −0.75, with repeated edges and without align_corners.
 */
export function cubicMatrix(from: number, to: number): Float32Array {
  const a = -0.75;
  const near = (d: number) => ((a + 2) * d - (a + 3)) * d * d + 1;
  const far = (d: number) => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * (from / to) - 0.5;
    const base = Math.floor(centre);
    const t = centre - base;
    const weights = [far(t + 1), near(t), near(1 - t), far(2 - t)];
    for (const [k, weight] of weights.entries()) {
      const column = Math.min(from - 1, Math.max(0, base - 1 + k));
      matrix[i * from + column] += weight;
    }
  }
  return matrix;
}

/** Resizes a table [T·grid·grid, C] to [T·h·w, C], separately for each time step; differentiable. */
export function resizePositions(table: tf.Tensor, grid: number, h: number, w: number): tf.Tensor {
  if (h === grid && w === grid) return table;
  const [rows, C] = table.shape;
  const T = rows / (grid * grid);
  const alongH = tf.tensor2d(cubicMatrix(grid, h), [h, grid]);
  const alongW = tf.tensor2d(cubicMatrix(grid, w), [w, grid]);
  const byRow = table.reshape([T, grid, grid, C]).transpose([1, 0, 2, 3]).reshape([grid, -1]);
  const byColumn = tf
    .matMul(alongH, byRow as tf.Tensor2D)
    .reshape([h, T, grid, C])
    .transpose([2, 0, 1, 3]);
  return tf
    .matMul(alongW, byColumn.reshape([grid, -1]) as tf.Tensor2D)
    .reshape([w, h, T, C])
    .transpose([2, 1, 0, 3])
    .reshape([T * h * w, C]);
}

/**
 * @file Products of large matrices in tasks that the threads take one by one, so that a busy core holds nobody up.
 *
 * ONNX Runtime splits one product into as many equal shares as there are threads, and waits for the slowest. It deals out the
 * products of a batch one at a time instead. A matrix is a batch of blocks of its rows without a copy: FusedMatMul reads
 * operands whose batch axis comes after their first one (transBatchA, transBatchB).
 */
import type { GraphBuilder } from '../graph_builder.js';
import { Float } from '../model_format.js';

/** Tasks of a product. More tasks balance the threads better, but each of them packs the second operand again. */
const MAX_TASKS = 16;
/** Minimum rows of a task, so that packing takes a few percent of its time. */
const MIN_TASK_ROWS = 88;
/** Products with fewer floating-point operations are left whole: they take a few milliseconds, and splitting costs time. */
const MIN_FLOPS = 2 ** 31;
/** Rows that a sum must have so that transposing an operand pays. */
const MIN_TRANSPOSED_ROWS = 512;

export interface Matrix {
  readonly name: string;
  /** [rows, columns] */
  readonly shape: readonly number[];
}

export interface ProductOptions {
  /** Multiplies by the transpose of `b`. */
  readonly transB?: boolean;
  /** Multiplies by the transpose of `a`, which the runtime does more slowly. */
  readonly transA?: boolean;
  /** Factor of the product. */
  readonly scale?: number;
  /** Number of tasks, a divisor of the product's rows; by default `taskCount`. */
  readonly tasks?: number;
}

/** Returns the number of tasks that a product of a [rows, inner] and b [inner, columns] is split into; 1 leaves it whole. */
export function taskCount(rows: number, columns: number, inner: number): number {
  return 2 * rows * columns * inner < MIN_FLOPS ? 1 : evenTasks(rows, MAX_TASKS);
}

/** Returns the largest number of equal tasks of whole rows, at most `maxTasks`, that are not too short. */
export function evenTasks(rows: number, maxTasks: number): number {
  for (let tasks = maxTasks; tasks > 1; tasks--)
    if (rows % tasks === 0 && rows / tasks >= MIN_TASK_ROWS) return tasks;
  return 1;
}

/** Adds a·b for a [M, K] and b [K, N]. Returns the name of the product [M, N]. */
export function multiply(
  g: GraphBuilder,
  a: Matrix,
  b: Matrix,
  { transA = false, transB = false, scale = 1, ...options }: ProductOptions = {},
): string {
  const [M, K] = transA ? [a.shape[1], a.shape[0]] : a.shape;
  const N = b.shape[transB ? 0 : 1];
  const { tasks = taskCount(M, N, K) } = options;
  const attributes = { transA: Number(transA), transB: Number(transB), alpha: new Float(scale) };
  if (tasks === 1) return g.contrib('FusedMatMul', [a.name, b.name], attributes);
  const blocks = g.view(a.name, transA ? [K, tasks, M / tasks] : [tasks, M / tasks, K]);
  const whole = g.view(b.name, [b.shape[0], 1, b.shape[1]]);
  const batches = { transBatchA: Number(transA), transBatchB: 1 };
  return g.reshape(g.contrib('FusedMatMul', [blocks, whole], { ...attributes, ...batches }), [M, N]);
}

/** Adds aᵀ·b for a [R, M] and b [R, N]. Returns the name of the product [M, N]. */
export function multiplyTransposed(g: GraphBuilder, a: Matrix, b: Matrix): string {
  const [R, M] = a.shape;
  if (R < MIN_TRANSPOSED_ROWS) return g.contrib('FusedMatMul', [a.name, b.name], { transA: 1 });
  // Faster than transA, for which the runtime transposes blocks of `a` once for every 128 columns of `b`.
  return multiply(g, { name: g.op('Transpose', [a.name], { perm: [1, 0] }), shape: [M, R] }, b);
}

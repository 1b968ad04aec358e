/** @file Formulas in double precision, on flat arrays in row-major order: what the kernels must compute. */

export type Numbers = ArrayLike<number>;

/** The sizes of a product [batch, rows, inner]·[batch, inner, columns]. */
export interface ProductSizes {
  readonly batch?: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Whether the first factor is stored as [batch, inner, rows]. */
  readonly transposeA?: boolean;
  /** Whether the second factor is stored as [batch, columns, inner]. */
  readonly transposeB?: boolean;
}

export function product(a: Numbers, b: Numbers, sizes: ProductSizes): Float64Array {
  const { batch = 1, rows, inner, columns, transposeA, transposeB } = sizes;
  const [rowOfA, stepOfA] = transposeA ? [1, rows] : [inner, 1];
  const [columnOfB, stepOfB] = transposeB ? [inner, 1] : [1, columns];
  const y = new Float64Array(batch * rows * columns);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        let atA = n * rows * inner + i * rowOfA;
        let atB = n * inner * columns + j * columnOfB;
        for (let k = 0; k < inner; k++, atA += stepOfA, atB += stepOfB) sum += a[atA] * b[atB];
        y[(n * rows + i) * columns + j] = sum;
      }
    }
  }
  return y;
}

export function sum(x: Float64Array): number {
  return x.reduce((total, value) => total + value, 0);
}

export function squareSum(x: Float64Array): number {
  return sum(x.map((value) => value * value));
}

/** Sums of the columns of [rows, columns]. */
export function columnSums(x: Numbers, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  for (let i = 0; i < x.length; i++) sums[i % columns] += x[i];
  return sums;
}

/** Softmax of each row of `width` numbers. */
export function softmax(x: Numbers, width: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let max = Number.NEGATIVE_INFINITY;
    for (let i = row; i < row + width; i++) max = Math.max(max, x[i]);
    let sum = 0;
    for (let i = row; i < row + width; i++) sum += y[i] = Math.exp(x[i] - max);
    for (let i = row; i < row + width; i++) y[i] /= sum;
  }
  return y;
}

/** The error function, by a series of positive terms. */
export function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** x·Φ(x). */
export function gelu(x: number): number {
  return (x * (1 + erf(x * Math.SQRT1_2))) / 2;
}

export function geluDerivative(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  return (1 + erf(x * Math.SQRT1_2)) / 2 + x * density;
}

/** Rows of `width` numbers with mean 0 and variance 1, and their factors 1/deviation. */
function normalizedRows(x: Numbers, width: number, eps: number) {
  const xhat = new Float64Array(x.length);
  const rstd = new Float64Array(x.length / width);
  for (let row = 0; row < rstd.length; row++) {
    const at = row * width;
    let [mean, variance] = [0, 0];
    for (let i = at; i < at + width; i++) mean += x[i] / width;
    for (let i = at; i < at + width; i++) variance += (x[i] - mean) ** 2 / width;
    rstd[row] = 1 / Math.sqrt(variance + eps);
    for (let i = at; i < at + width; i++) xhat[i] = (x[i] - mean) * rstd[row];
  }
  return { xhat, rstd };
}

export interface LayerNormNumbers {
  readonly x: Numbers;
  readonly dy: Numbers;
  /** Number of elements that are normalised together. */
  readonly width: number;
  readonly eps: number;
  /** Both of the length of the last axis. */
  readonly affine?: { readonly weight: Numbers; readonly bias: Numbers };
}

/** Layer normalisation: the value, then the gradients of x and of weight and bias. */
export function layerNorm({ x, dy, width, eps, affine }: LayerNormNumbers): Float64Array[] {
  const { xhat, rstd } = normalizedRows(x, width, eps);
  const features = affine?.weight.length ?? width;
  const scale = (i: number) => affine?.weight[i % features] ?? 1;
  const y = xhat.map((value, i) => value * scale(i) + (affine?.bias[i % features] ?? 0));
  const dxhat = xhat.map((_, i) => dy[i] * scale(i));
  const dx = new Float64Array(x.length);
  for (let row = 0; row < rstd.length; row++) {
    const at = row * width;
    let [mean, along] = [0, 0];
    for (let i = at; i < at + width; i++) {
      mean += dxhat[i] / width;
      along += (dxhat[i] * xhat[i]) / width;
    }
    for (let i = at; i < at + width; i++) dx[i] = rstd[row] * (dxhat[i] - mean - xhat[i] * along);
  }
  if (!affine) return [y, dx];
  const products = xhat.map((value, i) => value * dy[i]);
  return [y, dx, columnSums(products, features), columnSums(dy, features)];
}

export interface BatchNormNumbers {
  readonly x: Numbers;
  readonly dy: Numbers;
  readonly weight: Numbers;
  readonly bias: Numbers;
  readonly eps: number;
}

/** Means and biased variances of the columns of [rows, columns]. */
export function columnStatistics(
  x: Numbers,
  columns: number,
): { mean: Float64Array; variance: Float64Array } {
  const rows = x.length / columns;
  const mean = columnSums(x, columns).map((sum) => sum / rows);
  const squares = Float64Array.from(x, (value, i) => (value - mean[i % columns]) ** 2);
  return { mean, variance: columnSums(squares, columns).map((sum) => sum / rows) };
}

/** Batch normalisation of rows [rows, columns]: the value, then dx, dweight and dbias. */
export function batchNorm({ x, dy, weight, bias, eps }: BatchNormNumbers): Float64Array[] {
  const columns = weight.length;
  const rows = x.length / columns;
  const { mean, variance } = columnStatistics(x, columns);
  const rstd = variance.map((value) => 1 / Math.sqrt(value + eps));
  const normal = Float64Array.from(x, (value, i) => (value - mean[i % columns]) * rstd[i % columns]);
  const dbias = columnSums(dy, columns);
  const dweight = columnSums(
    normal.map((value, i) => value * dy[i]),
    columns,
  );
  const y = normal.map((value, i) => value * weight[i % columns] + bias[i % columns]);
  const dx = normal.map((value, i) => {
    const c = i % columns;
    return (dy[i] - dbias[c] / rows - (value * dweight[c]) / rows) * weight[c] * rstd[c];
  });
  return [y, dx, dweight, dbias];
}

/** Linear layer x·Wᵀ + b for x [rows, inner], weight [columns, inner]: the value, then dx, dweight and dbias. */
export function linear(
  [x, weight, bias]: readonly Numbers[],
  dy: Numbers,
  { rows, inner, columns }: ProductSizes,
): Float64Array[] {
  const y = product(x, weight, { rows, inner, columns, transposeB: true });
  const dx = product(dy, weight, { rows, inner: columns, columns: inner });
  const dweight = product(dy, x, { rows: columns, inner: rows, columns: inner, transposeA: true });
  if (!bias) return [y, dx, dweight];
  return [y.map((value, i) => value + bias[i % columns]), dx, dweight, columnSums(dy, columns)];
}

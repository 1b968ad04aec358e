/** @file Convolutions, maxima of windows and weighted sums of rows, with their gradients, in double precision. */
import { countWindows, type Windows } from '../engine/kernel_contract.js';
import type { Numbers } from './double.js';

/** Calls `visit` for every window of a map [B, T, H, W, C], and each position of the map that a tap of its kernel reads. */
export function visitWindows(
  shape: readonly number[],
  windows: Windows,
  visit: (window: number, position: number, tap: number) => void,
): void {
  const [B, T, H, W] = shape;
  const [K, kH, kW] = windows.kernel;
  const [t, h, w] = countWindows(shape, windows);
  const begin = (axis: number, place: number) => place * windows.stride[axis] - windows.padding[axis];
  const isInside = (place: number, extent: number) => place >= 0 && place < extent;
  for (let window = 0; window < B * t * h * w; window++) {
    const b = Math.floor(window / (t * h * w));
    const t0 = begin(0, Math.floor(window / (h * w)) % t);
    const h0 = begin(1, Math.floor(window / w) % h);
    const w0 = begin(2, window % w);
    for (let tap = 0; tap < K * kH * kW; tap++) {
      const [i, j, k] = [t0 + Math.floor(tap / (kH * kW)), h0 + (Math.floor(tap / kW) % kH), w0 + (tap % kW)];
      if (isInside(i, T) && isInside(j, H) && isInside(k, W))
        visit(window, ((b * T + i) * H + j) * W + k, tap);
    }
  }
}

interface Geometry {
  /** The shape [B, T, H, W, C] of x. */
  readonly shape: readonly number[];
  readonly windows: Windows;
}

/** Convolution of x [B, T, H, W, in] with weight [out, in, t, h, w]: the value, then dx and dweight. */
export function conv3d(
  [x, weight]: readonly Numbers[],
  dy: Numbers,
  { shape, windows, outChannels: O }: Geometry & { readonly outChannels: number },
): Float64Array[] {
  const I = shape[4];
  const taps = weight.length / (O * I);
  const y = new Float64Array(dy.length);
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(weight.length);
  visitWindows(shape, windows, (to, from, tap) => {
    for (let o = 0; o < O; o++) {
      const g = dy[to * O + o];
      let sum = 0;
      for (let i = 0; i < I; i++) {
        const at = (o * I + i) * taps + tap;
        sum += x[from * I + i] * weight[at];
        dx[from * I + i] += g * weight[at];
        dweight[at] += g * x[from * I + i];
      }
      y[to * O + o] += sum;
    }
  });
  return [y, dx, dweight];
}

/** Maximum over windows of x [B, T, H, W, C]: the value, then dx. The first of equal numbers gets the gradient. */
export function maxPool3d(x: Numbers, dy: Numbers, { shape, windows }: Geometry): Float64Array[] {
  const C = shape[4];
  const first = new Int32Array(dy.length).fill(-1);
  visitWindows(shape, windows, (to, from) => {
    for (let c = 0; c < C; c++) {
      const [window, at] = [to * C + c, from * C + c];
      if (first[window] < 0 || x[at] > x[first[window]]) first[window] = at;
    }
  });
  const dx = new Float64Array(x.length);
  for (const [window, at] of first.entries()) dx[at] += dy[window];
  return [Float64Array.from(first, (at) => x[at]), dx];
}

/** y[n] = Σ_k weight[n, k]·table[index[n, k]] for rows of `width` numbers: the value, then dtable and dweight. */
export function weightedRowSum(
  [table, index, weight]: readonly Numbers[],
  dy: Numbers,
  { samples, width }: { readonly samples: number; readonly width: number },
): Float64Array[] {
  const perSample = index.length / samples;
  const y = new Float64Array(samples * width);
  const dtable = new Float64Array(table.length);
  const dweight = new Float64Array(weight.length);
  for (let i = 0; i < index.length; i++) {
    const [to, row] = [Math.floor(i / perSample) * width, index[i] * width];
    for (let c = 0; c < width; c++) {
      y[to + c] += weight[i] * table[row + c];
      dtable[row + c] += weight[i] * dy[to + c];
      dweight[i] += table[row + c] * dy[to + c];
    }
  }
  return [y, dtable, dweight];
}

/** @file The 3×3×3 convolution and weighted sums of rows, with their gradients, in double precision. */
import type { Numbers } from './double.js';

export interface ConvSizes {
  /** [B, T, H, W]. */
  readonly map: readonly [number, number, number, number];
  readonly inChannels: number;
  readonly outChannels: number;
}

/** Convolution with padding 1 of x [B, T, H, W, in] with weight [out, in, 3, 3, 3]: the value, then dx and dweight. */
export function conv3x3x3([x, weight]: readonly Numbers[], dy: Numbers, sizes: ConvSizes): Float64Array[] {
  const { map, inChannels: I, outChannels: O } = sizes;
  const positions = map.reduce((a, b) => a * b);
  const y = new Float64Array(positions * O);
  const dx = new Float64Array(positions * I);
  const dweight = new Float64Array(O * I * 27);
  forNeighbours(map, (to, from, tap) => {
    for (let o = 0; o < O; o++) {
      const g = dy[to * O + o];
      let sum = 0;
      for (let i = 0; i < I; i++) {
        const at = (o * I + i) * 27 + tap;
        sum += x[from * I + i] * weight[at];
        dx[from * I + i] += g * weight[at];
        dweight[at] += g * x[from * I + i];
      }
      y[to * O + o] += sum;
    }
  });
  return [y, dx, dweight];
}

/** Calls `visit` for every position and each of its neighbours inside the map, with the neighbour's place in the kernel. */
function forNeighbours(
  [B, T, H, W]: ConvSizes['map'],
  visit: (to: number, from: number, tap: number) => void,
): void {
  const inside = (p: number, size: number) => p >= 0 && p < size;
  for (let to = 0; to < B * T * H * W; to++) {
    const [w, h, t] = [to % W, Math.floor(to / W) % H, Math.floor(to / (W * H)) % T];
    for (let tap = 0; tap < 27; tap++) {
      const [dt, dh, dw] = [Math.floor(tap / 9) - 1, (Math.floor(tap / 3) % 3) - 1, (tap % 3) - 1];
      if (inside(t + dt, T) && inside(h + dh, H) && inside(w + dw, W))
        visit(to, to + (dt * H + dh) * W + dw, tap);
    }
  }
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

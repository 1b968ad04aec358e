/** @file Bilinear resizing of 8-bit images with exactly the numbers of OpenCV's INTER_LINEAR. */
import type { Size } from '../../media/image_header.js';

// OpenCV's fixed point for 8-bit images: weights have 11 bits; a horizontal sum loses 4 bits before its multiplication
// with the vertical weight, the product loses 16, and the sum of both rows loses 2 (rounded).
const WEIGHT_ONE = 2048;

/** Source positions and weights of one axis. */
interface Axis {
  /** First and second source index of every destination index. */
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly firstWeight: Int32Array;
  readonly secondWeight: Int32Array;
}

/** Rounds to the nearest whole number, halves to even, as C's lrint does. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function makeAxis(kind: 'rows' | 'columns', from: number, to: number): Axis {
  const axis = {
    first: new Int32Array(to),
    second: new Int32Array(to),
    firstWeight: new Int32Array(to),
    secondWeight: new Int32Array(to),
  };
  const scale = 1 / (to / from);
  for (let i = 0; i < to; i++) {
    const position = Math.fround((i + 0.5) * scale - 0.5);
    let index = Math.floor(position);
    let fraction = Math.fround(position - index);
    // Columns at the border use the border pixel only; rows keep their weights, with both indices at the border.
    if (kind === 'columns' && (index < 0 || index >= from - 1)) {
      index = index < 0 ? 0 : from - 1;
      fraction = 0;
    }
    axis.first[i] = Math.min(Math.max(index, 0), from - 1);
    axis.second[i] = Math.min(Math.max(index + 1, 0), from - 1);
    axis.firstWeight[i] = roundHalfEven(Math.fround(Math.fround(1 - fraction) * WEIGHT_ONE));
    axis.secondWeight[i] = roundHalfEven(Math.fround(fraction * WEIGHT_ONE));
  }
  return axis;
}

/**
 * Resizes images from one size to another, optionally mirrored left to right; equal sizes copy exactly. Its tables and row
 * buffers are made once, so use one resizer for all frames of a clip.
 */
export class Resizer {
  readonly #rows: Axis;
  readonly #firstOffset: Int32Array;
  readonly #secondOffset: Int32Array;
  readonly #firstWeight: Int32Array;
  readonly #secondWeight: Int32Array;
  readonly #sums: [Int32Array, Int32Array];

  readonly #mirror: boolean;

  constructor(
    readonly from: Size,
    readonly to: Size,
    { mirror = false }: { mirror?: boolean } = {},
  ) {
    this.#mirror = mirror;
    this.#rows = makeAxis('rows', from.height, to.height);
    const columns = makeAxis('columns', from.width, to.width);
    const order = <T extends Int32Array>(values: T): T => (mirror ? values.reverse() : values);
    this.#firstOffset = order(columns.first.map((column) => column * 3));
    this.#secondOffset = order(columns.second.map((column) => column * 3));
    this.#firstWeight = order(columns.firstWeight);
    this.#secondWeight = order(columns.secondWeight);
    this.#sums = [new Int32Array(to.width * 3), new Int32Array(to.width * 3)];
  }

  /** Reads an image [from.height, from.width, 3] and writes [to.height, to.width, 3] into `result` at `offset`. */
  resize(image: Uint8Array, result: Uint8Array, offset = 0): void {
    if (this.from.height === this.to.height && this.from.width === this.to.width) {
      this.#copy(image, result, offset);
      return;
    }
    const { first, second, firstWeight, secondWeight } = this.#rows;
    let [upper, lower] = this.#sums;
    // Source rows whose horizontal sums are in the two buffers.
    let upperRow = -1;
    let lowerRow = -1;
    const rowBytes = this.to.width * 3;
    let out = offset;
    for (let y = 0; y < this.to.height; y++) {
      if (first[y] === lowerRow) {
        [upper, lower] = [lower, upper];
        [upperRow, lowerRow] = [lowerRow, upperRow];
      }
      if (first[y] !== upperRow) {
        this.#sumRow(image, first[y], upper);
        upperRow = first[y];
      }
      if (second[y] !== lowerRow) {
        this.#sumRow(image, second[y], lower);
        lowerRow = second[y];
      }
      const b0 = firstWeight[y];
      const b1 = secondWeight[y];
      for (let i = 0; i < rowBytes; i++) {
        result[out++] = (((b0 * (upper[i] >> 4)) >> 16) + ((b1 * (lower[i] >> 4)) >> 16) + 2) >> 2;
      }
    }
  }

  /** The horizontal sums of source row `y`, shifted left by 11 bits. */
  #sumRow(image: Uint8Array, y: number, sums: Int32Array): void {
    const row = y * this.from.width * 3;
    const width = this.to.width;
    const firstOffset = this.#firstOffset;
    const secondOffset = this.#secondOffset;
    const firstWeight = this.#firstWeight;
    const secondWeight = this.#secondWeight;
    for (let x = 0, i = 0; x < width; x++, i += 3) {
      const a = row + firstOffset[x];
      const b = row + secondOffset[x];
      const wa = firstWeight[x];
      const wb = secondWeight[x];
      sums[i] = image[a] * wa + image[b] * wb;
      sums[i + 1] = image[a + 1] * wa + image[b + 1] * wb;
      sums[i + 2] = image[a + 2] * wa + image[b + 2] * wb;
    }
  }

  #copy(image: Uint8Array, result: Uint8Array, offset: number): void {
    if (!this.#mirror) {
      result.set(image, offset);
      return;
    }
    const rowBytes = this.to.width * 3;
    let out = offset;
    for (let y = 0; y < this.to.height; y++) {
      for (let at = (y + 1) * rowBytes - 3; at >= y * rowBytes; at -= 3, out += 3) {
        result[out] = image[at];
        result[out + 1] = image[at + 1];
        result[out + 2] = image[at + 2];
      }
    }
  }
}

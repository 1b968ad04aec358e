/** @file Bilinear resizing of 8-bit pictures with the very numbers of OpenCV's INTER_LINEAR. */

// OpenCV's fixed point for 8-bit pictures: weights have 11 bits; 4 bits of a horizontal sum are dropped before it is
// multiplied by the vertical weight, then 16 of the product, and 2 (rounded) of the sum of both rows.
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

function makeAxis(from: number, to: number, clampFraction: boolean): Axis {
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
    // Columns take the border pixel alone; rows keep their weights, and both of their indices end at the border.
    if (clampFraction && (index < 0 || index >= from - 1)) {
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
 * Resizes pictures of one size to another, optionally mirrored left to right; equal sizes copy exactly. Tables and row
 * buffers are made once, so use one resizer for all frames of a clip.
 */
export class Resizer {
  readonly #rows: Axis;
  readonly #firstOffset: Int32Array;
  readonly #secondOffset: Int32Array;
  readonly #firstWeight: Int32Array;
  readonly #secondWeight: Int32Array;
  readonly #sums: [Int32Array, Int32Array];

  constructor(
    readonly fromHeight: number,
    readonly fromWidth: number,
    readonly toHeight: number,
    readonly toWidth: number,
    readonly mirror = false,
  ) {
    this.#rows = makeAxis(fromHeight, toHeight, false);
    const columns = makeAxis(fromWidth, toWidth, true);
    const order = <T extends Int32Array>(values: T): T => (mirror ? values.reverse() : values);
    this.#firstOffset = order(columns.first.map((column) => column * 3));
    this.#secondOffset = order(columns.second.map((column) => column * 3));
    this.#firstWeight = order(columns.firstWeight);
    this.#secondWeight = order(columns.secondWeight);
    this.#sums = [new Int32Array(toWidth * 3), new Int32Array(toWidth * 3)];
  }

  /** Reads a picture [fromHeight, fromWidth, 3] and writes [toHeight, toWidth, 3] into `to` at `offset`. */
  resize(from: Uint8Array, to: Uint8Array, offset = 0): void {
    if (this.fromHeight === this.toHeight && this.fromWidth === this.toWidth) {
      this.#copy(from, to, offset);
      return;
    }
    const { first, second, firstWeight, secondWeight } = this.#rows;
    let [upper, lower] = this.#sums;
    // Which source rows the two buffers hold the horizontal sums of.
    let upperRow = -1;
    let lowerRow = -1;
    const rowBytes = this.toWidth * 3;
    let out = offset;
    for (let y = 0; y < this.toHeight; y++) {
      if (first[y] === lowerRow) {
        [upper, lower] = [lower, upper];
        [upperRow, lowerRow] = [lowerRow, upperRow];
      }
      if (first[y] !== upperRow) {
        this.#sumRow(from, first[y], upper);
        upperRow = first[y];
      }
      if (second[y] !== lowerRow) {
        this.#sumRow(from, second[y], lower);
        lowerRow = second[y];
      }
      const b0 = firstWeight[y];
      const b1 = secondWeight[y];
      for (let i = 0; i < rowBytes; i++) {
        to[out++] = (((b0 * (upper[i] >> 4)) >> 16) + ((b1 * (lower[i] >> 4)) >> 16) + 2) >> 2;
      }
    }
  }

  /** The horizontal sums of source row `y`, shifted left by 11 bits. */
  #sumRow(from: Uint8Array, y: number, sums: Int32Array): void {
    const row = y * this.fromWidth * 3;
    const width = this.toWidth;
    const firstOffset = this.#firstOffset;
    const secondOffset = this.#secondOffset;
    const firstWeight = this.#firstWeight;
    const secondWeight = this.#secondWeight;
    for (let x = 0, i = 0; x < width; x++, i += 3) {
      const a = row + firstOffset[x];
      const b = row + secondOffset[x];
      const wa = firstWeight[x];
      const wb = secondWeight[x];
      sums[i] = from[a] * wa + from[b] * wb;
      sums[i + 1] = from[a + 1] * wa + from[b + 1] * wb;
      sums[i + 2] = from[a + 2] * wa + from[b + 2] * wb;
    }
  }

  #copy(from: Uint8Array, to: Uint8Array, offset: number): void {
    if (!this.mirror) {
      to.set(from, offset);
      return;
    }
    const rowBytes = this.toWidth * 3;
    let out = offset;
    for (let y = 0; y < this.toHeight; y++) {
      for (let at = (y + 1) * rowBytes - 3; at >= y * rowBytes; at -= 3, out += 3) {
        to[out] = from[at];
        to[out + 1] = from[at + 1];
        to[out + 2] = from[at + 2];
      }
    }
  }
}

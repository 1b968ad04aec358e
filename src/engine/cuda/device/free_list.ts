/** @file The free parts of a GPU's memory, found by size and by address. */
import type { Address } from '../../../util/native/native.js';

/** Memory that the driver gave at once. */
export interface Piece {
  readonly address: Address;
  readonly bytes: number;
}

/** A part of a piece. */
export interface Span {
  readonly piece: Piece;
  readonly address: Address;
  readonly bytes: number;
}

/** Free spans. Neighbours within a piece are joined; pieces are not, because the driver takes them back one by one. */
export class FreeList {
  readonly #byStart = new Map<Address, Span>();
  readonly #byEnd = new Map<Address, Span>();
  /** By bytes, then by address. */
  readonly #bySize: Span[] = [];

  get spans(): readonly Span[] {
    return this.#bySize;
  }

  /** Adds a span, joined with its free neighbours. */
  add({ piece, address, bytes }: Span): void {
    const [before, after] = [this.#byEnd.get(address), this.#byStart.get(address + bytes)];
    let [start, length] = [address, bytes];
    if (before?.piece === piece) {
      this.remove(before);
      start = before.address;
      length += before.bytes;
    }
    if (after?.piece === piece) {
      this.remove(after);
      length += after.bytes;
    }
    this.#insert({ piece, address: start, bytes: length });
  }

  remove(span: Span): void {
    this.#byStart.delete(span.address);
    this.#byEnd.delete(span.address + span.bytes);
    this.#bySize.splice(this.#indexOf(span.bytes, span.address), 1);
  }

  /** The smallest span of at least `bytes`; of several, the one with the lowest address. */
  bestFit(bytes: number): Span | undefined {
    return this.#bySize[this.#indexOf(bytes, 0)];
  }

  /** Takes the first `bytes` of a free span; the rest stays free. */
  take(span: Span, bytes: number): Span {
    const { piece, address } = span;
    this.remove(span);
    if (span.bytes > bytes) this.#insert({ piece, address: address + bytes, bytes: span.bytes - bytes });
    return { piece, address, bytes };
  }

  #insert(span: Span): void {
    this.#byStart.set(span.address, span);
    this.#byEnd.set(span.address + span.bytes, span);
    this.#bySize.splice(this.#indexOf(span.bytes, span.address), 0, span);
  }

  /** The index in `#bySize` of the first span that is larger, or as large and from `address` on. */
  #indexOf(bytes: number, address: Address): number {
    let [low, high] = [0, this.#bySize.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const span = this.#bySize[middle];
      if (span.bytes > bytes || (span.bytes === bytes && span.address >= address)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

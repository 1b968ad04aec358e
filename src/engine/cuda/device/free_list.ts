/** @file The free parts of a GPU's memory, found by size and by address. */
import type { Address } from '../api/native.js';

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
  readonly #byAddress: Span[] = [];
  /** By bytes, then by address. */
  readonly #bySize: Span[] = [];

  get spans(): readonly Span[] {
    return this.#byAddress;
  }

  /** Adds a span, joined with its free neighbours. */
  add(span: Span): void {
    let { address, bytes } = span;
    const { piece } = span;
    const index = indexOf(this.#byAddress, (other) => other.address > address);
    const [before, after] = [this.#byAddress[index - 1], this.#byAddress[index]];
    if (before?.piece === piece && before.address + before.bytes === address) {
      this.remove(before);
      address = before.address;
      bytes += before.bytes;
    }
    if (after?.piece === piece && span.address + span.bytes === after.address) {
      this.remove(after);
      bytes += after.bytes;
    }
    this.#insert({ piece, address, bytes });
  }

  remove(span: Span): void {
    this.#byAddress.splice(
      indexOf(this.#byAddress, (other) => other.address >= span.address),
      1,
    );
    this.#bySize.splice(
      indexOf(this.#bySize, (other) => !isSmaller(other, span)),
      1,
    );
  }

  /** The smallest span of at least `bytes`; of several, the one with the lowest address. */
  bestFit(bytes: number): Span | undefined {
    return this.#bySize[indexOf(this.#bySize, (other) => other.bytes >= bytes)];
  }

  /** Takes the first `bytes` of a free span; the rest stays free. */
  take(span: Span, bytes: number): Span {
    const { piece, address } = span;
    this.remove(span);
    if (span.bytes > bytes) this.#insert({ piece, address: address + bytes, bytes: span.bytes - bytes });
    return { piece, address, bytes };
  }

  #insert(span: Span): void {
    this.#byAddress.splice(
      indexOf(this.#byAddress, (other) => other.address > span.address),
      0,
      span,
    );
    this.#bySize.splice(
      indexOf(this.#bySize, (other) => !isSmaller(other, span)),
      0,
      span,
    );
  }
}

function isSmaller(a: Span, b: Span): boolean {
  return a.bytes < b.bytes || (a.bytes === b.bytes && a.address < b.address);
}

/** The index of the first span with `isPast`, which holds from some index on; the length if it holds for none. */
function indexOf(spans: readonly Span[], isPast: (span: Span) => boolean): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(spans[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

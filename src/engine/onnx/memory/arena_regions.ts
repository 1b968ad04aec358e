/** @file The regions of addresses that the arena reserves, the more the more its tensors take. */
import { machineMemory } from '../../memory.js';

/** What the regions take together at most, as a fraction of the memory that this process may use. */
const LIMIT_FRACTION = 0.75;
const FIRST_BYTES = 2 ** 30;
/** ONNX Runtime keeps a number of 8 bytes for each 256 bytes of a region, and writes all of them at once. */
const LISTS_FRACTION = 1 / 32;

/**
 * Sizes of the regions, in their order. Each is larger than the one before, because the arena makes a new region only for
 * what does not fit into an old one. The last takes all that is left.
 */
export function* regionSizes(limit: number): Generator<number, void, undefined> {
  let left = limit;
  for (let bytes = FIRST_BYTES; left >= 3 * bytes; bytes *= 2) {
    yield bytes;
    left -= bytes;
  }
  yield left;
}

function limitHere(): number {
  return Math.floor(LIMIT_FRACTION * machineMemory().totalBytes);
}

/** Reserves regions so that they are twice as large as the tensors in them. */
export class ArenaRegions {
  readonly #sizes: Generator<number, void, undefined>;
  #reserved = 0;
  #taken = 0;

  /** `reserve` returns whether it made a region of that many bytes. */
  constructor(
    private readonly reserve: (bytes: number) => boolean,
    limit = limitHere(),
  ) {
    this.#sizes = regionSizes(limit);
  }

  /** Counts bytes that a tensor takes, or gives back if negative, and reserves what is missing. */
  add(bytes: number): void {
    this.#taken += bytes;
    while (2 * this.#taken >= this.#reserved) {
      const next = this.#sizes.next();
      // Without a region, the arena grows with each request.
      this.#reserved =
        next.done || !this.reserve(next.value) ? Number.POSITIVE_INFINITY : this.#reserved + next.value;
    }
  }
}

/** Bytes of the arena's own lists when its tensors take `bytes`. */
export function listBytes(bytes: number, limit = limitHere()): number {
  let reserved = 0;
  const reserve = (size: number) => {
    reserved += size;
    return true;
  };
  new ArenaRegions(reserve, limit).add(bytes);
  return LISTS_FRACTION * reserved;
}

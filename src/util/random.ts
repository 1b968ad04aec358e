/** @file Seeded random numbers with a state that can be saved, for sampler, transforms, initial weights and drop path. */
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/** A stream of random numbers that depends on its seed alone. */
export class Rng {
  #generator: RandomGenerator;
  #spareNormal: number | null = null;

  constructor(seed: number) {
    // The generator is linear in its state. Neighbouring seeds would stay correlated if the words were not hashes.
    this.#generator = xoroshiro128plusFromState(
      [1, 2, 3, 4].map((word) => mix(seed + Math.imul(word, 0x9e3779b9))),
    );
  }

  /** Creates a stream for one named purpose. Streams of different names do not affect each other. */
  static forName(seed: number, name: string): Rng {
    // FNV-1a, then the seed. It only has to spread well.
    let hash = 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Rng(Math.imul(hash ^ seed, 0x9e3779b1) ^ (hash >>> 15));
  }

  /** Draws uniformly from [0, 1), with 24 bits, so that every value is exact in float32. */
  uniform(): number {
    return (this.#generator.next() >>> 8) * 2 ** -24;
  }

  /** Draws uniformly from [low, high). */
  uniformBetween(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** Draws a whole number from [0, n). */
  int(n: number): number {
    return Math.floor(((this.#generator.next() >>> 0) * n) / 2 ** 32);
  }

  /** Draws from the standard normal distribution (Marsaglia's polar method). */
  normal(): number {
    if (this.#spareNormal !== null) {
      const spare = this.#spareNormal;
      this.#spareNormal = null;
      return spare;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const s = u * u + v * v;
      if (s === 0 || s >= 1) continue;
      const scale = Math.sqrt((-2 * Math.log(s)) / s);
      this.#spareNormal = v * scale;
      return u * scale;
    }
  }

  /** Draws a random order of 0…n−1 (Fisher–Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** State from which `fromState` continues this stream. */
  getState(): { generator: readonly number[]; spareNormal: number | null } {
    return { generator: this.#generator.getState(), spareNormal: this.#spareNormal };
  }

  static fromState(state: ReturnType<Rng['getState']>): Rng {
    const rng = new Rng(0);
    rng.#generator = xoroshiro128plusFromState(state.generator);
    rng.#spareNormal = state.spareNormal;
    return rng;
  }
}

/** Maps 32 bits to 32 well-mixed bits, one to one (the finaliser of MurmurHash3). */
function mix(x: number): number {
  let hash = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

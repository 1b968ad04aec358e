/** @file Seeded random numbers with a state that can be saved: sampler, transforms, initialisation, drop path. */
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/** A stream of random numbers that depends on its seed alone. */
export class Rng {
  #generator: RandomGenerator;
  #spareNormal: number | null = null;

  constructor(seed: number) {
    // The generator is linear in its state: unless every word is a hash of the seed, neighbouring seeds stay related.
    this.#generator = xoroshiro128plusFromState(
      [1, 2, 3, 4].map((word) => mix(seed + Math.imul(word, 0x9e3779b9))),
    );
  }

  /** A stream for one named purpose, so that drawing from one leaves the others as they were. */
  static forName(seed: number, name: string): Rng {
    // FNV-1a, then the seed: well spread is all that is asked of it.
    let hash = 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Rng(Math.imul(hash ^ seed, 0x9e3779b1) ^ (hash >>> 15));
  }

  /** Uniform in [0, 1), 24 bits: every value is exact in float32. */
  uniform(): number {
    return (this.#generator.next() >>> 8) * 2 ** -24;
  }

  /** Uniform in [low, high). */
  uniformBetween(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A whole number in [0, n). */
  int(n: number): number {
    return Math.floor(((this.#generator.next() >>> 0) * n) / 2 ** 32);
  }

  /** Standard normal (Marsaglia's polar method). */
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

  /** A random order of 0…n−1 (Fisher–Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** Everything that `fromState` needs to continue this stream. */
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

/** Spreads 32 bits over 32 bits, one to one (the finaliser of MurmurHash3). */
function mix(x: number): number {
  let hash = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** @file A cache of executables that releases the least recently used. */
import type { Executable } from './compiler.js';
import type { Buffer } from './value.js';

/** An executable in the cache. It is released once it has left the cache and nothing uses it. */
export class CachedExecutable<B extends Buffer> {
  #isEvicted = false;
  #users = 0;

  constructor(
    readonly key: string,
    readonly executable: Executable<B>,
  ) {}

  get isEvicted(): boolean {
    return this.#isEvicted;
  }

  /** Keeps the executable until as many calls of `drop`. */
  retain(): void {
    this.#users++;
  }

  drop(): void {
    this.#users--;
    if (this.#isEvicted && this.#users === 0) this.executable.release();
  }

  evict(): void {
    this.#isEvicted = true;
    if (this.#users === 0) this.executable.release();
  }
}

export class ExecutableCache<B extends Buffer> {
  /** By structural key, in the order of use. */
  readonly #entries = new Map<string, CachedExecutable<B>>();

  constructor(private readonly maxEntries: number) {}

  /** Returns the executable of a structural key, which `compile` makes if there is none. */
  get(key: string, compile: () => Executable<B>): CachedExecutable<B> {
    const found = this.#entries.get(key);
    if (found) {
      this.touch(found);
      return found;
    }
    const entry = new CachedExecutable(key, compile());
    this.#entries.set(key, entry);
    if (this.#entries.size > this.maxEntries) {
      const [[oldest, unused]] = this.#entries;
      this.#entries.delete(oldest);
      unused.evict();
    }
    return entry;
  }

  /** Makes an entry that was not evicted the most recently used. */
  touch(entry: CachedExecutable<B>): void {
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, entry);
  }

  /** Evicts all executables. */
  dispose(): void {
    for (const entry of this.#entries.values()) entry.evict();
    this.#entries.clear();
  }
}

/** @file Buffers of a GPU that serve one tensor after the other, because making a buffer takes longer than most operations. */

/** A buffer, or what stands for one. */
export interface PooledBuffer {
  readonly bytes: number;
}

/** How buffers are made and destroyed. */
export interface BufferSource<B extends PooledBuffer> {
  make(bytes: number): B;
  destroy(buffer: B): void;
}

/** A tensor may be in a buffer that is larger by this factor. */
const MAX_SURPLUS = 1.125;
/** The same factor when a new buffer would be one too many. */
const MAX_SURPLUS_WHEN_FULL = 1.5;
/** Free buffers are kept as long as all have at most this multiple of the bytes that were in use at a time. */
const MAX_KEPT = 1.2;
/** Smaller buffers are always kept. Their sizes are rounded up, so that there are few. */
const SMALL_BYTES = 2 ** 20;
/** The provider's kernels read and write 16 bytes at a time. */
const ALIGNMENT = 16;

/** Bytes of a buffer for a tensor: a multiple of an eighth of the power of two below, if it is small. */
function roundedBytes(bytes: number): number {
  const unit = bytes > SMALL_BYTES ? ALIGNMENT : Math.max(ALIGNMENT, 2 ** (Math.floor(Math.log2(bytes)) - 3));
  return Math.max(ALIGNMENT, Math.ceil(bytes / unit) * unit);
}

/** Buffers in use, and free ones. */
export class BufferPool<B extends PooledBuffer> {
  /** Free buffers by size. */
  readonly #free = new Map<number, B[]>();
  /** The sizes in `#free`, smallest first. */
  readonly #sizes: number[] = [];
  /** Large free buffers, the one that was given back first at the start. */
  readonly #byAge = new Set<B>();
  #usedBytes = 0;
  #freeBytes = 0;
  #mostUsedBytes = 0;

  constructor(private readonly source: BufferSource<B>) {}

  /** Bytes of all buffers. */
  get bytes(): number {
    return this.#usedBytes + this.#freeBytes;
  }

  /** Returns a buffer of undefined content for a tensor: the one that it had before, if that is free. */
  take(bytes: number, before?: B): B {
    const least = roundedBytes(bytes);
    const buffer =
      this.#takeAgain(before) ??
      this.#takeFree(least, MAX_SURPLUS) ??
      this.#takeLarger(least) ??
      this.#make(least);
    this.#usedBytes += buffer.bytes;
    this.#mostUsedBytes = Math.max(this.#mostUsedBytes, this.#usedBytes);
    return buffer;
  }

  /** Takes back a buffer. A GPU does its work in order, so work under way may still use the buffer. */
  giveBack(buffer: B): void {
    const { bytes } = buffer;
    this.#usedBytes -= bytes;
    this.#freeBytes += bytes;
    if (bytes > SMALL_BYTES) this.#byAge.add(buffer);
    const same = this.#free.get(bytes);
    if (same) same.push(buffer);
    else {
      this.#free.set(bytes, [buffer]);
      this.#sizes.splice(this.#firstOf(bytes), 0, bytes);
    }
  }

  /** Takes back a buffer and destroys it. */
  discard(buffer: B): void {
    this.#usedBytes -= buffer.bytes;
    this.source.destroy(buffer);
  }

  /** Takes the smallest free buffer of at least so many bytes, unless it is larger by more than a factor. */
  #takeFree(least: number, surplus: number): B | undefined {
    for (let i = this.#firstOf(least); this.#sizes[i] <= least * surplus; i++) {
      const buffer = this.#free.get(this.#sizes[i])?.pop();
      if (buffer) return this.#taken(buffer);
    }
    return undefined;
  }

  #takeAgain(buffer: B | undefined): B | undefined {
    if (!buffer) return undefined;
    const same = this.#free.get(buffer.bytes) ?? [];
    const index = same.lastIndexOf(buffer);
    if (index < 0) return undefined;
    same.splice(index, 1);
    return this.#taken(buffer);
  }

  #taken(buffer: B): B {
    this.#byAge.delete(buffer);
    this.#freeBytes -= buffer.bytes;
    return buffer;
  }

  #takeLarger(least: number): B | undefined {
    return this.#hasRoom(least) ? undefined : this.#takeFree(least, MAX_SURPLUS_WHEN_FULL);
  }

  /** Makes a buffer. If there are too many, those that were free for longest are destroyed. */
  #make(bytes: number): B {
    for (const buffer of this.#byAge) {
      if (this.#hasRoom(bytes)) break;
      this.#destroy(buffer);
    }
    return this.source.make(bytes);
  }

  /** Whether there may be another buffer of so many bytes. */
  #hasRoom(bytes: number): boolean {
    return this.bytes + bytes <= MAX_KEPT * Math.max(this.#mostUsedBytes, this.#usedBytes + bytes);
  }

  #destroy(buffer: B): void {
    const same = this.#free.get(buffer.bytes) ?? [];
    same.splice(same.indexOf(buffer), 1);
    if (same.length === 0) {
      this.#free.delete(buffer.bytes);
      this.#sizes.splice(this.#firstOf(buffer.bytes), 1);
    }
    this.#byAge.delete(buffer);
    this.#freeBytes -= buffer.bytes;
    this.source.destroy(buffer);
  }

  /** Index of the smallest size of at least so many bytes. */
  #firstOf(bytes: number): number {
    let [low, high] = [0, this.#sizes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sizes[middle] < bytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

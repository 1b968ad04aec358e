/** @file The memory of a GPU: large pieces from the driver, given out in blocks. */
import { OutOfMemoryError } from '../../../errors.js';
import type { Address } from '../../../util/native/native.js';
import { byteSize } from '../../../util/text.js';
import { CudaError } from '../api/error.js';
import { FreeList, type Piece, type Span } from './free_list.js';

/** Blocks begin at multiples of so many bytes, which all kernels and libraries are content with. */
const ALIGNMENT = 256;
/** The driver's own unit. */
const PIECE_UNIT = 2 * 2 ** 20;
/** A piece is this part of the memory, or as large as the block that needs it. */
const PIECE_PART = 16;

/** Where pieces come from; the driver. */
export interface PieceSource {
  /** Throws CudaError. */
  allocate(bytes: number): Address;
  free(address: Address): void;
  memory(): { readonly free: number; readonly total: number };
}

/** Memory on the GPU. */
export interface Block {
  readonly address: Address;
  /** At least as many as were asked for. */
  readonly bytes: number;
  /**
   * Gives the memory back, at once: work that uses it may still be queued, since later work waits for it on the same stream.
   * Throws the second time.
   */
  release(): void;
  /** Delays the effect of `release` until the returned function is called. */
  hold(): () => void;
}

export interface RegionStatistics {
  /** Bytes of the pieces. */
  readonly reserved: number;
  /** Bytes of the blocks. */
  readonly inUse: number;
  /** The highest `inUse` so far. */
  readonly peak: number;
}

/** Gives out blocks by best fit. Its users have one stream in common. */
export class Region {
  readonly #free = new FreeList();
  readonly #pieces = new Set<Piece>();
  readonly #blocks = new Set<RegionBlock>();
  readonly #pieceBytes: number;
  #reserved = 0;
  #inUse = 0;
  #peak = 0;

  constructor(private readonly source: PieceSource) {
    this.#pieceBytes = roundUp(source.memory().total / PIECE_PART, PIECE_UNIT);
  }

  get statistics(): RegionStatistics {
    return { reserved: this.#reserved, inUse: this.#inUse, peak: this.#peak };
  }

  /** Blocks that were not released. */
  get blocks(): number {
    return this.#blocks.size;
  }

  /**
   * A block of at least `bytes`, in the smallest place that is large enough; of several, in the first one. The same calls thus
   * get the same addresses, on which captured work relies. Throws OutOfMemoryError.
   */
  allocate(bytes: number): Block {
    const size = Math.max(ALIGNMENT, roundUp(bytes, ALIGNMENT));
    const span = this.#free.take(this.#free.bestFit(size) ?? this.#grow(size), size);
    const block = new RegionBlock(span, (released) => this.#release(released));
    this.#blocks.add(block);
    this.#inUse += size;
    this.#peak = Math.max(this.#peak, this.#inUse);
    return block;
  }

  /** Gives pieces that nothing uses back to the driver, which waits for the GPU. Returns their bytes. */
  trim(): number {
    let freed = 0;
    for (const span of [...this.#free.spans]) {
      if (span.bytes < span.piece.bytes) continue;
      this.#free.remove(span);
      this.#freePiece(span.piece);
      freed += span.bytes;
    }
    return freed;
  }

  /** Gives everything back, also blocks in use. */
  dispose(): void {
    for (const block of this.#blocks) this.#free.add(block.span);
    this.#blocks.clear();
    this.#inUse = 0;
    this.trim();
  }

  /** Gets a piece from the driver. Returns a free span of at least `bytes`. */
  #grow(bytes: number): Span {
    const exact = roundUp(bytes, PIECE_UNIT);
    const isAdded =
      this.#addPiece(Math.max(exact, this.#pieceBytes)) ||
      this.#addPiece(exact) ||
      (this.trim() > 0 && this.#addPiece(exact));
    if (!isAdded) throw this.#shortage(bytes);
    return this.#free.bestFit(bytes) as Span;
  }

  /** Returns false if the driver has no such piece. */
  #addPiece(bytes: number): boolean {
    try {
      const piece = { address: this.source.allocate(bytes), bytes };
      this.#pieces.add(piece);
      this.#reserved += bytes;
      this.#free.add({ piece, ...piece });
      return true;
    } catch (error) {
      if (error instanceof CudaError && error.isOutOfMemory) return false;
      throw error;
    }
  }

  #freePiece(piece: Piece): void {
    this.#pieces.delete(piece);
    this.#reserved -= piece.bytes;
    this.source.free(piece.address);
  }

  #release(block: RegionBlock): void {
    // After `dispose` the memory is gone already.
    if (!this.#blocks.delete(block)) return;
    this.#inUse -= block.bytes;
    this.#free.add(block.span);
  }

  #shortage(bytes: number): OutOfMemoryError {
    const { free, total } = this.source.memory();
    const own = this.#free.spans.reduce((sum, span) => sum + span.bytes, 0);
    const split = own > 0 ? `, and ${byteSize(own)} between other tensors, in pieces that are too small` : '';
    return new OutOfMemoryError(
      `the GPU has too little memory: ${byteSize(bytes)} were asked for. Of ${byteSize(total)}, ` +
        `${byteSize(free)} are free${split}; this process uses ${byteSize(this.#inUse)}. Use smaller batches or clips, ` +
        'ViT.USE_CHECKPOINT True, a GPU with more memory, or end other programs on this GPU',
    );
  }
}

class RegionBlock implements Block {
  #holds = 0;
  #isReleased = false;

  constructor(
    readonly span: Span,
    private readonly onRelease: (block: RegionBlock) => void,
  ) {}

  get address(): Address {
    return this.span.address;
  }

  get bytes(): number {
    return this.span.bytes;
  }

  release(): void {
    if (this.#isReleased) throw new Error('a block of GPU memory was released twice');
    this.#isReleased = true;
    if (this.#holds === 0) this.onRelease(this);
  }

  hold(): () => void {
    this.#holds++;
    return () => {
      this.#holds--;
      if (this.#holds === 0 && this.#isReleased) this.onRelease(this);
    };
  }
}

function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}

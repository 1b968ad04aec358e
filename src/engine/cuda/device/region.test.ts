/** @file Memory in blocks: against a model, and with a driver that runs out of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutOfMemoryError } from '../../../errors.js';
import { CudaError } from '../api/error.js';
import { type Block, type PieceSource, Region } from './region.js';

const MIB = 2 ** 20;

/** A driver with `total` bytes, whose pieces lie side by side so that joining them would show. */
function source(total: number): PieceSource & { readonly pieces: Map<number, number> } {
  const pieces = new Map<number, number>();
  let next = 2 ** 44;
  const used = () => [...pieces.values()].reduce((sum, bytes) => sum + bytes, 0);
  return {
    pieces,
    memory: () => ({ free: total - used(), total }),
    allocate: (bytes) => {
      if (bytes > total - used())
        throw new CudaError('cuMemAlloc', 2, 'CUDA_ERROR_OUT_OF_MEMORY', 'out of memory');
      const address = next;
      next += bytes;
      pieces.set(address, bytes);
      return address;
    },
    free: (address) => {
      if (!pieces.delete(address)) throw new Error('no such piece');
    },
  };
}

describe('Region', () => {
  it('rounds up to 256 bytes, and takes the smallest room that is large enough', () => {
    const region = new Region(source(64 * MIB));
    const blocks = [1000, 1, 300, 1, 600, 0].map((bytes) => region.allocate(bytes));
    expect(blocks.map(({ bytes }) => bytes)).toEqual([1024, 256, 512, 256, 768, 256]);
    for (const index of [0, 2, 4]) blocks[index].release();
    expect(region.allocate(400).address).toBe(blocks[2].address);
    expect(region.allocate(513).address).toBe(blocks[4].address);
    expect(region.allocate(513).address).toBe(blocks[0].address);
  });

  it('takes pieces of a sixteenth of the memory, or as large as the block', () => {
    const driver = source(320 * MIB);
    const region = new Region(driver);
    region.allocate(1);
    region.allocate(21 * MIB);
    expect([...driver.pieces.values()]).toEqual([20 * MIB, 22 * MIB]);
    expect(region.statistics).toEqual({
      reserved: 42 * MIB,
      inUse: 21 * MIB + 256,
      peak: 21 * MIB + 256,
    });
  });

  it('is content with less, then gives back what is empty, when memory is short', () => {
    const driver = source(64 * MIB);
    const region = new Region(driver);
    const blocks = [region.allocate(62 * MIB), region.allocate(1 * MIB)];
    expect([...driver.pieces.values()]).toEqual([62 * MIB, 2 * MIB]);
    for (const block of blocks) block.release();
    region.allocate(63 * MIB);
    expect([...driver.pieces.values()]).toEqual([64 * MIB]);
  });

  it('explains a shortage', () => {
    const region = new Region(source(64 * MIB));
    const kept = [40, 4, 16].map((size) => region.allocate(size * MIB));
    kept[1].release();
    expect(() => region.allocate(9 * MIB)).toThrow(OutOfMemoryError);
    expect(() => region.allocate(9 * MIB)).toThrow(
      'the GPU has too little memory: 9.0 MiB were asked for. Of 64.0 MiB, 8.0 MiB are free; this process uses 56.0 MiB.',
    );
    region.allocate(1);
    expect(() => region.allocate(9 * MIB)).toThrow(/4\.0 MiB are free, and 4\.0 MiB between other tensors/);
  });

  it('passes other errors on', () => {
    const failing = {
      ...source(64 * MIB),
      allocate: () => {
        throw new CudaError('cuMemAlloc', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS', '');
      },
    };
    expect(() => new Region(failing).allocate(1)).toThrow(/CUDA_ERROR_ILLEGAL_ADDRESS/);
  });

  it('refuses a second release', () => {
    const block = new Region(source(64 * MIB)).allocate(1);
    block.release();
    expect(() => block.release()).toThrow('released twice');
  });

  it('keeps a block that is held', () => {
    const region = new Region(source(64 * MIB));
    const block = region.allocate(1);
    const [first, second] = [block.hold(), block.hold()];
    block.release();
    first();
    expect(region.blocks).toBe(1);
    second();
    expect(region.blocks).toBe(0);
  });

  it('gives everything back in the end', () => {
    const driver = source(64 * MIB);
    const region = new Region(driver);
    region.allocate(5 * MIB);
    region.allocate(1).release();
    region.dispose();
    expect(driver.pieces.size).toBe(0);
    expect(region.statistics).toMatchObject({ reserved: 0, inUse: 0 });
  });

  it('never gives out memory twice, and loses none', () => {
    const step = fc.record({
      size: fc.integer({ min: 0, max: 6 * MIB }),
      pick: fc.nat(),
      action: fc.constantFrom('allocate', 'allocate', 'release', 'trim'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const driver = source(64 * MIB);
        const region = new Region(driver);
        const live: Block[] = [];
        for (const { size, pick, action } of steps) {
          if (action === 'trim') region.trim();
          else if (action === 'release') {
            const [block] = live.length > 0 ? live.splice(pick % live.length, 1) : [];
            block?.release();
          } else {
            const block = tryAllocate(region, size);
            if (block) live.push(block);
            else expect(largestRoom(driver.pieces, live)).toBeLessThan(size);
          }
          checkAgainstModel(region, driver.pieces, live);
        }
      }),
      { numRuns: 200 },
    );
  });
});

function tryAllocate(region: Region, bytes: number): Block | null {
  try {
    return region.allocate(bytes);
  } catch (error) {
    if (error instanceof OutOfMemoryError) return null;
    throw error;
  }
}

/** The largest room between blocks in the pieces. */
function largestRoom(pieces: ReadonlyMap<number, number>, live: readonly Block[]): number {
  let largest = 0;
  for (const [start, bytes] of pieces) {
    const inside = live.filter(({ address }) => address >= start && address < start + bytes);
    let from = start;
    for (const block of inside.sort((a, b) => a.address - b.address)) {
      largest = Math.max(largest, block.address - from);
      from = block.address + block.bytes;
    }
    largest = Math.max(largest, start + bytes - from);
  }
  return largest;
}

function checkAgainstModel(
  region: Region,
  pieces: ReadonlyMap<number, number>,
  live: readonly Block[],
): void {
  const sorted = [...live].sort((a, b) => a.address - b.address);
  for (const [i, block] of sorted.entries()) {
    expect(block.address % 256).toBe(0);
    if (i > 0) expect(block.address).toBeGreaterThanOrEqual(sorted[i - 1].address + sorted[i - 1].bytes);
    const isInside = [...pieces].some(
      ([start, bytes]) => start <= block.address && block.address + block.bytes <= start + bytes,
    );
    expect(isInside).toBe(true);
  }
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, number) => total + number, 0);
  expect(region.blocks).toBe(live.length);
  expect(region.statistics.inUse).toBe(sum(live.map(({ bytes }) => bytes)));
  expect(region.statistics.reserved).toBe(sum(pieces.values()));
}

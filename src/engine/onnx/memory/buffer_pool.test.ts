/** @file Tests of the buffers that are used again. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool, type PooledBuffer } from './buffer_pool.js';

const MIB = 2 ** 20;

/** A pool that records which buffers exist. */
function recordingPool() {
  const alive = new Set<PooledBuffer>();
  const pool = new BufferPool({
    make: (bytes) => {
      const buffer = { bytes };
      alive.add(buffer);
      return buffer;
    },
    destroy: (buffer: PooledBuffer) => {
      if (!alive.delete(buffer)) throw new Error('destroyed twice');
    },
  });
  return { pool, alive };
}

describe('a pool of buffers', () => {
  it('uses a free buffer again for a tensor that is a little smaller', () => {
    const { pool } = recordingPool();
    const first = pool.take(10 * MIB);
    pool.giveBack(first);
    expect(pool.take(9 * MIB)).toBe(first);
    expect(pool.take(9 * MIB).bytes).toBe(9 * MIB);
  });

  it('does not use a buffer for a much smaller tensor while there is room', () => {
    const { pool } = recordingPool();
    const [large] = [pool.take(10 * MIB), pool.take(90 * MIB)];
    pool.giveBack(large);
    expect(pool.take(7 * MIB)).not.toBe(large);
  });

  it('uses a larger buffer, and then destroys the one that was free for longest, when there are too many', () => {
    const { pool, alive } = recordingPool();
    const buffers = Array.from({ length: 10 }, () => pool.take(10 * MIB));
    for (const buffer of buffers) pool.giveBack(buffer);
    const extra = Array.from({ length: 3 }, () => pool.take(7 * MIB));
    // 100 MiB were in use at a time, and 120 MiB may be kept: two new buffers of 7 MiB fit.
    expect(extra.map(({ bytes }) => bytes / MIB)).toEqual([7, 7, 10]);
    expect(pool.take(40 * MIB).bytes).toBe(40 * MIB);
    expect(buffers.map((buffer) => alive.has(buffer))).toEqual([
      ...Array(4).fill(false),
      ...Array(6).fill(true),
    ]);
  });

  it('gives a tensor the buffer that it had before', () => {
    const { pool } = recordingPool();
    const buffers = Array.from({ length: 3 }, () => pool.take(2 * MIB));
    for (const buffer of buffers) pool.giveBack(buffer);
    expect(pool.take(2 * MIB, buffers[0])).toBe(buffers[0]);
    // It is in use now.
    expect(pool.take(2 * MIB, buffers[0])).toBe(buffers[2]);
  });

  it('destroys a buffer that is discarded', () => {
    const { pool, alive } = recordingPool();
    pool.discard(pool.take(MIB));
    expect([alive.size, pool.bytes]).toEqual([0, 0]);
  });

  it('never lends a buffer twice, nor one that is too small, and keeps a fifth more than was in use', () => {
    const steps = fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 50 * MIB }), leave: fc.nat(5) }));
    fc.assert(
      fc.property(steps, (list) => {
        const { pool, alive } = recordingPool();
        const used = new Set<PooledBuffer>();
        let most = 0;
        for (const { bytes, leave } of list) {
          const buffer = pool.take(bytes);
          expect(used.has(buffer)).toBe(false);
          expect(buffer.bytes).toBeGreaterThanOrEqual(bytes);
          used.add(buffer);
          most = Math.max(most, sum(used));
          expect(sum(alive)).toBeLessThanOrEqual(1.2 * most + SMALL_KEPT);
          expect(pool.bytes).toBe(sum(alive));
          for (const one of [...used].slice(leave)) {
            pool.giveBack(one);
            used.delete(one);
          }
        }
      }),
    );
  });
});

/** Buffers of up to 1 MiB are kept beside. */
const SMALL_KEPT = 10 * MIB;
const sum = (buffers: Iterable<PooledBuffer>) =>
  [...buffers].reduce((bytes, buffer) => bytes + buffer.bytes, 0);

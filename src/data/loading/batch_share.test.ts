/** @file Processes that share each batch: which clips each of them has, and what they tell each other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inProcesses } from '../../../test/support/processes.js';
import type { Communicator } from '../../distributed/communicator.js';
import { BatchShare } from './batch_share.js';

const shareOf = (communicator: Communicator, batchSize: number, blockSize = batchSize) =>
  new BatchShare({ communicator, lockstep: communicator, batchSize, blockSize });

/** A clip with boxes. */
const clip = (place: number, [height, width]: readonly number[], boxes: number) => ({
  place,
  metadata: { height, width, boxes: new Float32Array(4 * boxes) },
});

describe('places', () => {
  it('divide each micro-batch among the processes', async () => {
    const places = await inProcesses(2, async (communicator) => shareOf(communicator, 8, 4).places(8));
    expect(places).toEqual([
      [0, 1, 4, 5],
      [2, 3, 6, 7],
    ]);
  });

  it('give each clip to one process, and each process consecutive clips of a micro-batch', async () => {
    const cases = fc.record({
      size: fc.integer({ min: 1, max: 6 }),
      clipsOfEach: fc.integer({ min: 1, max: 4 }),
      blocks: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ size, clipsOfEach, blocks }) => {
        const blockSize = size * clipsOfEach;
        const count = blocks * blockSize;
        const all = await inProcesses(size, async (communicator) =>
          shareOf(communicator, count, blockSize).places(count),
        );
        expect(all.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
        for (const own of all) {
          expect(own).toHaveLength(blocks * clipsOfEach);
          for (let i = 0; i < own.length; i += clipsOfEach)
            expect(own[i + clipsOfEach - 1] - own[i]).toBe(clipsOfEach - 1);
        }
      }),
    );
  });
});

describe('exchange', () => {
  it('tells all processes the largest size and the boxes of each clip', async () => {
    const clips = [
      [clip(0, [64, 80], 3), clip(1, [96, 32], 0)],
      [clip(2, [32, 128], 1), clip(3, [32, 32], 2)],
    ];
    const facts = await inProcesses(2, (communicator) =>
      shareOf(communicator, 4).exchange(4, Promise.resolve(clips[communicator.rank])),
    );
    const whole = { height: 96, width: 128, boxCounts: Int32Array.of(3, 0, 1, 2) };
    expect(facts).toEqual([whole, whole]);
  });

  it('happens in the order of the batches, whichever is loaded first', async () => {
    const counts = await inProcesses(2, async (communicator) => {
      const share = shareOf(communicator, 2);
      const { rank } = communicator;
      const late = new Promise<void>((resolve) => setTimeout(resolve, 5 * (1 + rank)));
      const first = share.exchange(
        2,
        late.then(() => [clip(rank, [8, 8], 1)]),
      );
      const second = share.exchange(2, Promise.resolve([clip(rank, [8, 8], 2)]));
      return [[...(await first).boxCounts], [...(await second).boxCounts]];
    });
    expect(counts).toEqual([
      [
        [1, 1],
        [2, 2],
      ],
      [
        [1, 1],
        [2, 2],
      ],
    ]);
  });

  it('throws what loading throws', async () => {
    const broken = Promise.reject(new Error('broken frame'));
    await inProcesses(1, async (communicator) => {
      await expect(shareOf(communicator, 2).exchange(2, broken)).rejects.toThrow('broken frame');
    });
  });
});

it('ends in all processes, also where some have loaded more than others', async () => {
  await inProcesses(3, async (communicator) => {
    const share = shareOf(communicator, 3);
    const { rank } = communicator;
    await share.exchange(3, Promise.resolve([clip(rank, [8, 8], 1)]));
    // Process 0 has begun with two batches that the others never ask for.
    const ahead = Array.from({ length: rank === 0 ? 2 : 0 }, () =>
      share.exchange(3, Promise.resolve([clip(rank, [8, 8], 1)])),
    );
    for (const exchange of ahead) exchange.catch(() => {});
    await Promise.resolve();
    await share.close();
    // Nothing is left over: the next operation is the same one for all.
    await communicator.barrier();
  });
});

/** @file Buckets of gradients: when they begin, and in which order. */
import { expect, it } from 'vitest';
import { SINGLE_PROCESS } from './communicator.js';
import { GradientSum } from './gradient_sum.js';
import type { Reducer } from './reducer.js';

/** Gradients are their numbers as texts. */
function sumOf(lengths: readonly number[], bucketBytes: number) {
  const begun: string[] = [];
  const reducer: Reducer<string> = {
    accepts: (gradient): gradient is string => typeof gradient === 'string',
    begin: (gradients) => begun.push(gradients.join(' ')),
    async finish() {
      begun.push('finish');
    },
    async settle() {},
    async close() {},
  };
  const sum = new GradientSum({ communicator: SINGLE_PROCESS, reducer, lengths, bucketBytes });
  /** Adds gradients during the pass, and others at its end. Returns what has begun. */
  const step = async (early: readonly number[], late: readonly number[]) => {
    begun.length = 0;
    for (const index of early) sum.add(index, `${index}`);
    const before = [...begun];
    await sum.finish(new Map(late.map((index) => [index, `${index}`])));
    return { before, all: [...begun] };
  };
  return { step };
}

it('begins full buckets in the order of the parameters, the last ones first, at first', async () => {
  const { step } = sumOf([1, 1, 1, 1], 8);
  expect(await step([3, 2, 1], [0])).toEqual({ before: ['3 2'], all: ['3 2', '1 0', 'finish'] });
});

it('takes over the order in which gradients become ready, once some do during the pass', async () => {
  const { step } = sumOf([1, 1, 1, 1], 8);
  // A pass that is recorded gives all of them at its end.
  expect((await step([], [0, 1, 2, 3])).all).toEqual(['3 2', '1 0', 'finish']);
  expect((await step([1, 3, 0], [2])).before).toEqual([]);
  expect(await step([1, 3, 0], [2])).toEqual({ before: ['1 3'], all: ['1 3', '0 2', 'finish'] });
});

it('leaves out parameters without a gradient', async () => {
  const { step } = sumOf([1, 1, 1], 4);
  expect((await step([2], [])).all).toEqual(['2', 'finish']);
});

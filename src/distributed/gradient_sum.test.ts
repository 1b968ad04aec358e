/** @file Buckets of gradients: when they begin, and in which order. */
import { expect, it } from 'vitest';
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
  const sum = new GradientSum({ reducer, lengths, bucketBytes });
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

it('begins full buckets in the order of the parameters, the last ones first', async () => {
  const { step } = sumOf([1, 1, 1, 1], 8);
  expect(await step([3, 2, 1], [0])).toEqual({ before: ['3 2'], all: ['3 2', '1 0', 'finish'] });
});

it('keeps the order if gradients become ready in another one', async () => {
  const { step } = sumOf([1, 1, 1, 1], 8);
  expect(await step([1, 0, 2], [3])).toEqual({ before: [], all: ['3 2', '1 0', 'finish'] });
  expect((await step([2, 3, 0], [1])).before).toEqual(['3 2']);
});

it('leaves out parameters without a gradient', async () => {
  const { step } = sumOf([1, 1, 1], 4);
  expect((await step([2], [])).all).toEqual(['2', 'finish']);
});

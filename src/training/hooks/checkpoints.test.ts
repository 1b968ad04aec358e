/** @file When checkpoints are saved: by epochs, by time, at the end and when a run is stopped. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StepReport } from '../loop.js';
import { CheckpointHook, type CheckpointOptions } from './checkpoints.js';

let saved: string[];
beforeEach(() => {
  saved = [];
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function makeHook(options: Partial<CheckpointOptions> = {}): CheckpointHook {
  return new CheckpointHook({
    period: 100,
    seconds: 60,
    startIteration: 0,
    maxIterations: 1000,
    save: async (name, iteration) => {
      saved.push(`${name} after ${iteration}`);
      return `${name}.pth`;
    },
    check() {},
    settle: async () => {},
    ...options,
  });
}

/** Iterations of 25 seconds each. */
async function train(hook: CheckpointHook, first: number, last: number): Promise<void> {
  for (let iteration = first; iteration <= last; iteration++) {
    vi.advanceTimersByTime(25_000);
    await hook.afterSchedule({ iteration } as StepReport);
  }
}

describe('between the checkpoints of the period', () => {
  it('the state is saved under one name as soon as the time is over', async () => {
    await train(makeHook(), 1, 7);
    expect(saved).toEqual(['model_latest after 3', 'model_latest after 6']);
  });

  it('the time begins anew with every checkpoint', async () => {
    await train(makeHook({ period: 2 }), 1, 6);
    expect(saved).toEqual(['model_0000002 after 2', 'model_0000004 after 4', 'model_0000006 after 6']);
  });

  it('nothing is saved where the time is 0', async () => {
    await train(makeHook({ seconds: 0 }), 1, 90);
    expect(saved).toEqual([]);
  });
});

it('a stop right after a timed save needs no other file', async () => {
  const hook = makeHook();
  await train(hook, 1, 3);
  await hook.afterTraining(3);
  expect(saved).toEqual(['model_latest after 3']);
  await train(hook, 4, 4);
  await hook.afterTraining(4);
  expect(saved.at(-1)).toBe('model_0000004 after 4');
});

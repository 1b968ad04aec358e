/** @file When checkpoints are saved: by epochs, by time, at the end and when a run is stopped. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkpointName } from '../../checkpoint/checkpoint_names.js';
import type { StepReport, TrainingRun } from '../hook.js';
import { CheckpointHook, type CheckpointOptions } from './checkpoints.js';

let saved: string[];
let run: TrainingRun;
beforeEach(() => {
  saved = [];
  const state = { iteration: 0 };
  run = {
    state,
    startIteration: 0,
    maxIterations: 1000,
    save: async (name = checkpointName(state.iteration)) => {
      saved.push(`${name} after ${state.iteration}`);
      return `${name}.pth`;
    },
    settle: async () => {},
  } as unknown as TrainingRun;
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function makeHook(options: Partial<CheckpointOptions> = {}): CheckpointHook {
  return new CheckpointHook({ period: 100, seconds: 60, ...options });
}

/** Iterations of 25 seconds each. */
async function train(hook: CheckpointHook, first: number, last: number): Promise<void> {
  for (let iteration = first; iteration <= last; iteration++) {
    vi.advanceTimersByTime(25_000);
    run.state.iteration = iteration;
    await hook.afterSchedule(run, { iteration } as StepReport);
  }
}

describe('between the checkpoints of the period', () => {
  it('the hook saves the state under one name as soon as the time has passed', async () => {
    await train(makeHook(), 1, 7);
    expect(saved).toEqual(['model_latest after 3', 'model_latest after 6']);
  });

  it('the hook measures the time from every checkpoint anew', async () => {
    await train(makeHook({ period: 2 }), 1, 6);
    expect(saved).toEqual(['model_0000002 after 2', 'model_0000004 after 4', 'model_0000006 after 6']);
  });

  it('the hook saves nothing if the time is 0', async () => {
    await train(makeHook({ seconds: 0 }), 1, 90);
    expect(saved).toEqual([]);
  });
});

it('the hook saves the final state when the run ends', async () => {
  const hook = makeHook({ seconds: 0 });
  await train(hook, 999, 1000);
  await hook.afterTraining(run);
  expect(saved).toEqual(['model_0001000 after 1000', 'model_final after 1000']);
});

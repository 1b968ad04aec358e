/** @file Tests of a Trainer on batches of its own: hooks, their order, and how a run ends. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { isRecording, TEST_DEVICE, TEST_ENGINE } from '../../test/support/engine.js';
import { disposeState, noiseBatch } from '../../test/support/noise_batch.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import type { Batch } from '../data/loading/collate.js';
import { selectEngine } from '../engine/index.js';
import { lazyStatistics } from '../engine/lazy_hints.js';
import type { Hook } from './hook.js';
import { Trainer, type TrainerOptions } from './trainer.js';

/** Batches of noise, and whether the run has returned them. */
class Batches implements AsyncIterator<Batch> {
  returned = 0;
  constructor(private readonly cfg: ReturnType<typeof tinyConfig>) {}

  async next() {
    return { value: noiseBatch(this.cfg, [1]), done: false };
  }

  async return() {
    this.returned++;
    return { value: undefined, done: true } as const;
  }
}

async function makeTrainer(
  options: Partial<TrainerOptions> = {},
  changes: Readonly<Record<string, unknown>> = {},
) {
  const cfg = tinyConfig({
    OUTPUT_DIR: temporaryFolder(),
    'SOLVER.MAX_EPOCH': 1,
    'SOLVER.ITER_PER_EPOCH': 3,
    'SOLVER.VIDEOS_PER_BATCH': 1,
    ...changes,
  });
  const batches = new Batches(cfg);
  const trainer = new Trainer(cfg, {
    engine: await selectEngine({ engine: TEST_ENGINE, device: TEST_DEVICE }),
    skipFinalTest: true,
    skipValidation: true,
    data: { batches, order: null, dataset: null },
    ...options,
  });
  onTestFinished(() => disposeState(trainer.state));
  return { trainer, batches, file: (name: string) => join(cfg.OUTPUT_DIR, name) };
}

/** A hook that notes its calls. */
function noting(calls: string[]): Hook {
  return {
    beforeTraining: ({ state }) => void calls.push(`training from ${state.iteration}`),
    beforeStep: (_run, { shape }) => void calls.push(`batch of ${shape[0]}`),
    afterStep: ({ state }, { iteration }) => void calls.push(`step ${iteration}, state ${state.iteration}`),
    afterSchedule: ({ state }) => void calls.push(`schedule ${state.scheduler.lastEpoch}`),
    afterTraining: ({ state }) => void calls.push(`trained to ${state.iteration}`),
    close: () => void calls.push('closed'),
  };
}

const STEP = (n: number) => ['batch of 1', `step ${n}, state ${n}`, `schedule ${n}`];

it('calls a hook at every point of a run, in order, and saves the final state', async () => {
  const calls: string[] = [];
  const { trainer, batches, file } = await makeTrainer({ hooks: [noting(calls)] });
  const result = await trainer.run();
  expect(result).toMatchObject({ iteration: 3, isStopped: false });
  expect(result.firstLoss).toBeGreaterThan(0);
  expect(calls).toEqual(['training from 0', ...STEP(1), ...STEP(2), ...STEP(3), 'trained to 3', 'closed']);
  expect(batches.returned).toBe(1);
  expect(existsSync(file('model_final.pth'))).toBe(true);
});

it('ends after the step in which its signal is aborted, and saves that state', async () => {
  const stopping = new AbortController();
  const stop: Hook = {
    afterStep: (_run, { iteration }) => {
      if (iteration === 2) stopping.abort();
    },
  };
  const { trainer, file } = await makeTrainer({ hooks: [stop], signal: stopping.signal });
  expect(await trainer.run()).toMatchObject({ iteration: 2, isStopped: true });
  expect(existsSync(file('model_0000002.pth'))).toBe(true);
  expect(existsSync(file('model_final.pth'))).toBe(false);
});

it('does nothing but throw the reason if its signal is aborted before it begins', async () => {
  const calls: string[] = [];
  const signal = AbortSignal.abort(new Error('not today'));
  const { trainer, file } = await makeTrainer({ hooks: [noting(calls)], signal });
  await expect(trainer.run()).rejects.toThrow('not today');
  expect(calls).toEqual([]);
  expect(existsSync(file('last_checkpoint'))).toBe(false);
});

it('closes its hooks and returns the batches after an error in a hook', async () => {
  const calls: string[] = [];
  const failing: Hook = {
    afterStep() {
      throw new Error('broken hook');
    },
  };
  const { trainer, batches } = await makeTrainer({ hooks: [noting(calls), failing] });
  await expect(trainer.run()).rejects.toThrow('broken hook');
  expect(calls.at(-1)).toBe('closed');
  expect(calls).not.toContain('trained to 1');
  expect(batches.returned).toBe(1);
});

it('returns the batches if it fails before the first step', async () => {
  const { trainer, batches, file } = await makeTrainer({ tensorBoard: true });
  writeFileSync(file('tensorboard'), '');
  await expect(trainer.run()).rejects.toThrow(/^--use-tfboard: cannot write events/);
  expect(batches.returned).toBe(1);
});

it('lets a hook save the state at any time, once per iteration', async () => {
  const paths: string[] = [];
  const saving: Hook = {
    async afterSchedule(run) {
      paths.push(await run.save(), await run.save());
    },
  };
  const { trainer, file } = await makeTrainer({ hooks: [saving] });
  await trainer.run();
  const names = ['model_0000001.pth', 'model_0000002.pth', 'model_0000003.pth'];
  expect(paths).toEqual(names.flatMap((name) => [file(name), file(name)]));
});

it.runIf(isRecording)('replays steps unless ENGINE.REPLAY is False', async () => {
  const recorded = async (replay: boolean) => {
    const counts: number[] = [];
    const count: Hook = { afterStep: () => void counts.push(lazyStatistics()!.recorded) };
    const changes = { 'ENGINE.REPLAY': replay, 'SOLVER.ITER_PER_EPOCH': 4 };
    const { trainer } = await makeTrainer({ hooks: [count] }, changes);
    await trainer.run();
    return counts[3] - counts[2];
  };
  expect(await recorded(true)).toBe(0);
  expect(await recorded(false)).toBeGreaterThan(0);
});

/** @file A run that meets what is not finite: it stops or skips, and what it saves, logs and counts. */
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TEST_DEVICE, TEST_ENGINE } from '../../../test/support/engine.js';
import { eventFiles, readEvents, scalarsOf } from '../../../test/support/event_file.js';
import { contents, disposeState, makeState, noiseBatch } from '../../../test/support/noise_batch.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import type { Batch } from '../../data/loading/collate.js';
import { selectEngine } from '../../engine/index.js';
import type { Logger } from '../../run/log.js';
import { mergeMetrics } from '../../run/metrics.js';
import { parseJsonLines } from '../../util/json.js';
import type { Hook } from '../hook.js';
import { stepRng, trainStep } from '../step.js';
import { Trainer } from '../trainer.js';
import { type GuardedRun, guardStep } from './nonfinite_guard.js';
import { readBatch } from './saved_batch.js';

const CHANGES = {
  'ViT.DROP_PATH_RATE': 0.3,
  'SOLVER.BASE_LR': 1e-3,
  'SOLVER.WARMUP_ON': false,
  'SOLVER.VIDEOS_PER_BATCH': 1,
  'SOLVER.ACCUMULATE': 2,
  'SOLVER.ON_NONFINITE': 'skip',
  'SOLVER.NONFINITE_LIMIT': 3,
};
const CFG = tinyConfig(CHANGES);

/** The batch of an iteration; in the bad ones a pixel is not a number. */
function batchOf(iteration: number, bad: readonly number[]): Batch {
  const batch = noiseBatch(CFG, [1, 2], iteration);
  if (bad.includes(iteration)) batch.video[batch.video.length - 1] = Number.NaN;
  return batch;
}

interface Options {
  bad: readonly number[];
  iterations: number;
  outputDir?: string;
  changes?: Record<string, unknown>;
  save?(): Promise<string>;
}

/** Trains with the guard around each step; `error` is what the run ended with. */
async function run({ bad, iterations, outputDir = temporaryFolder(), changes = {}, save }: Options) {
  const warnings: string[] = [];
  const saved: number[] = [];
  const state = makeState(CFG);
  state.seed = 3;
  onTestFinished(() => disposeState(state));
  const guarded: GuardedRun = {
    cfg: tinyConfig({ ...CHANGES, ...changes, OUTPUT_DIR: outputDir }),
    log: { warn: (_: object, text: string) => void warnings.push(text) } as unknown as Logger,
    state,
    save:
      save ??
      (async () => {
        saved.push(state.iteration);
        return `model_${state.iteration}.pth`;
      }),
  };
  const steps: Map<string, Float32Array>[] = [contents(state)];
  const train = async () => {
    for (let n = 1; n <= iterations; n++) {
      const batch = batchOf(n, bad);
      await guardStep(guarded, batch, () =>
        trainStep(state, batch, { rng: stepRng(3, n), microBatchSize: 1 }),
      );
      state.iteration++;
      steps.push(contents(state));
    }
  };
  const error = await train().then(
    () => null,
    (reason) => reason as Error & { exitCode: number },
  );
  const batches = existsSync(outputDir)
    ? readdirSync(outputDir).filter((name) => /^nonfinite/.test(name))
    : [];
  return { error, warnings, saved, steps, batches: batches.sort(), outputDir, guarded };
}

it('stop ends the run with an error that names iteration, terms, clip and files, and saves the state before the step', async () => {
  const { error, saved, batches, outputDir, steps, warnings } = await run({
    bad: [2],
    iterations: 4,
    changes: { 'SOLVER.ON_NONFINITE': 'stop' },
  });
  expect(error).toMatchObject({ name: 'NonFiniteError', exitCode: 1 });
  const file = join(outputDir, 'nonfinite_0000002.pth');
  for (const part of [
    /^iteration 2: the loss is not finite \(loss_bce = NaN, .*\) for video1 at second 901\. The weights were not changed/,
    'The state before it is in model_1.pth.',
    `The batch is in ${file}; "stmixer train … --replay ${file}" shows`,
    'SOLVER.ON_NONFINITE skip',
  ])
    expect(error!.message).toMatch(part);
  expect({ saved, warnings, batches }).toEqual({
    saved: [1],
    warnings: [],
    batches: ['nonfinite_0000002.pth'],
  });
  expect(steps).toHaveLength(2);
});

it('skip changes only the schedule, informs every hook, and marks the metrics', async () => {
  const outputDir = temporaryFolder();
  const file = join(outputDir, 'metrics.jsonl');
  const [lines, warnings]: string[][] = [[], []];
  const log = {
    info: (_: object, line?: string) => void (line === undefined || lines.push(line)),
    warn: (_: object, line?: string) => void (line === undefined || warnings.push(line)),
    debug() {},
  } as unknown as Logger;
  let n = 0;
  const batches = { next: async () => ({ value: batchOf(++n, [1, 3, 4]), done: false }) };
  const steps: Map<string, Float32Array>[] = [];
  const watch: Hook = {
    beforeTraining: ({ state }) => void steps.push(contents(state)),
    afterStep: ({ state }) => void steps.push(contents(state)),
  };
  const cfg = tinyConfig({
    ...CHANGES,
    OUTPUT_DIR: outputDir,
    'SOLVER.MAX_EPOCH': 1,
    'SOLVER.ITER_PER_EPOCH': 6,
  });
  const trainer = new Trainer(cfg, {
    engine: await selectEngine({ engine: TEST_ENGINE, device: TEST_DEVICE }),
    seed: 3,
    skipFinalTest: true,
    skipValidation: true,
    tensorBoard: true,
    log,
    hooks: [watch],
    data: { batches, order: null, dataset: null },
  });
  onTestFinished(() => disposeState(trainer.state));
  const { isStopped, firstLoss } = await trainer.run();
  expect(isStopped).toBe(false);
  const [initial, one, two, three, four, five] = steps;
  expect([one, three, four]).toEqual([initial, two, two]);
  expect(five).not.toEqual(four);
  expect(trainer.state.scheduler.stateDict().get('last_epoch')).toBe(6);
  expect(trainer.state.nonFiniteInARow).toBe(0);
  expect(warnings).toEqual(
    [1, 3, 4].map((n) =>
      expect.stringMatching(
        new RegExp(
          `^iteration ${n}: the loss is not finite .* at second 901\\. Skipped: .*nonfinite_000000${n}`,
        ),
      ),
    ),
  );
  const saved = readdirSync(outputDir).filter((name) => /^nonfinite/.test(name));
  expect(saved.sort()).toEqual([1, 3, 4].map((n) => `nonfinite_000000${n}.pth`));

  const { objects, broken } = parseJsonLines(readFileSync(file, 'utf8'));
  expect(broken).toEqual([]);
  expect(
    objects.map(({ iteration, loss, skipped }) => [iteration, loss === null, skipped !== undefined]),
  ).toEqual([
    [1, true, true],
    [2, false, false],
    [3, true, true],
    [4, true, true],
    [5, false, false],
    [6, false, false],
  ]);
  expect(objects[2]).toMatchObject({
    grad_norm: null,
    loss_average: expect.any(Number),
    skipped: {
      not_finite: 'loss',
      terms: expect.arrayContaining(['loss_bce']),
      clips: [{ video: 'video1', second: 901 }],
    },
  });
  expect(objects[5].loss_average).toBeGreaterThan(0);
  expect(mergeMetrics(objects).map(({ loss }) => loss === null)).toEqual([
    true,
    false,
    true,
    true,
    false,
    false,
  ]);
  expect(firstLoss).toBeGreaterThan(0);
  expect(lines).toContainEqual(expect.stringMatching(/^iter 1\/6 {2}loss – {2}bce – .* s\/it .* eta –$/));
  const scalars = scalarsOf(eventFiles(join(outputDir, 'tensorboard')).flatMap(readEvents));
  expect(scalars['train/loss']).toEqual([[6, expect.any(Number)]]);
  expect(scalars['train/grad_norm'][0][1]).toBeGreaterThan(0);
});

it('skip ends the run after too many steps in a row, counted from where it was resumed', async () => {
  const { error, saved, guarded, warnings } = await run({ bad: [1, 2, 4, 5, 6], iterations: 9 });
  expect(error!.message).toMatch(
    /^iteration 6: .* It was the last of 3 in a row \(SOLVER\.NONFINITE_LIMIT\)/,
  );
  expect(saved).toEqual([5]);
  // As of the state that was saved, so that a resumed run meets the same limit.
  expect(guarded.state.nonFiniteInARow).toBe(2);
  expect(warnings).toHaveLength(4);
  await expect(guardStep(guarded, batchOf(1, []), () => Promise.reject(error))).rejects.toThrow(
    /the last of 3 in a row/,
  );
});

it('keeps the newest three batches', async () => {
  const outputDir = temporaryFolder();
  // Of an earlier run that came further: older by its time, not by its number.
  const earlier = join(outputDir, 'nonfinite_0000900.pth');
  writeFileSync(earlier, '');
  utimesSync(earlier, 1, 1);
  writeFileSync(join(outputDir, 'nonfinite_notes.txt'), '');
  const { batches } = await run({
    bad: [1, 2, 3, 5],
    iterations: 5,
    changes: { 'SOLVER.NONFINITE_LIMIT': 9 },
    outputDir,
  });
  expect(batches).toEqual([
    'nonfinite_0000002.pth',
    'nonfinite_0000003.pth',
    'nonfinite_0000005.pth',
    'nonfinite_notes.txt',
  ]);
  const { batch, ...facts } = readBatch(join(outputDir, 'nonfinite_0000005.pth'));
  expect(batch).toEqual(batchOf(5, [5]));
  expect(facts).toMatchObject({ iteration: 5, seed: 3, microBatchSize: 1, first: 1, parameters: [] });
  expect(facts.terms.get('loss_ce')).toBeNaN();
});

it('reports that the disk refuses the batch, and still what happened to the step', async () => {
  const outputDir = join(temporaryFolder(), 'gone');
  const save = () => Promise.reject(new Error('no space'));
  const { error, warnings } = await run({
    bad: [1],
    iterations: 2,
    changes: { 'SOLVER.ON_NONFINITE': 'stop' },
    outputDir,
    save,
  });
  expect(error!.message).toMatch(
    /^iteration 1: the loss is not finite .*The weights were not changed by this step\. A lower/,
  );
  expect(warnings).toEqual([
    expect.stringMatching(/^the batch could not be saved: .*gone/),
    'the state before it could not be saved: no space',
  ]);
});

it('passes other errors on', async () => {
  const { guarded } = await run({ bad: [], iterations: 0 });
  await expect(
    guardStep(guarded, batchOf(1, []), () => Promise.reject(new Error('another'))),
  ).rejects.toThrow('another');
});

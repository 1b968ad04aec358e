/** @file Several processes train as one process does with the same batches. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { start } from '../support/cli.js';
import { launchers, startMpiRun } from '../support/mpi.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { TINY_SLOWFAST, words } from '../support/tiny_config.js';
import { expectClose, type Outcome, outcomeOf } from '../support/training_outcome.js';

const LAUNCHER = fileURLToPath(new URL('../support/launcher.js', import.meta.url));
/** Six clips in two micro-batches, random masks and augmentation, clipping that has an effect. */
const SETTINGS = [
  ...['SOLVER.VIDEOS_PER_BATCH', '6', 'SOLVER.ACCUMULATE', '2', 'SOLVER.CLIP_GRAD_NORM', '2'],
  ...[
    'ViT.DROP_PATH_RATE',
    '0.3',
    'MODEL.STM.DROPOUT',
    '0.1',
    'SOLVER.ITER_PER_EPOCH',
    '2',
    'SOLVER.MAX_EPOCH',
    '3',
  ],
];

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
});

function training(folder: string, more: readonly string[] = []): string[] {
  const config = [
    'train',
    '--config-file',
    'config_files/tiny.yaml',
    ...more.filter((word) => word.startsWith('--')),
  ];
  const settings = more.filter((word) => !word.startsWith('--'));
  return [...config, ...SETTINGS, 'OUTPUT_DIR', join(home, folder), ...settings];
}

/** Trains with so many processes. */
async function train(count: number, folder: string, more: readonly string[] = []): Promise<void> {
  const args = training(folder, more);
  const run = count === 1 ? start(args) : startMpiRun(launchers[0], count, [LAUNCHER, ...args]);
  const { code, stdout, stderr } = await run.finished;
  expect(code, stdout + stderr).toBe(0);
}

const outcome = (folder: string) => outcomeOf(join(home, folder));

describe.skipIf(launchers.length === 0)('training by several processes', () => {
  let alone: Outcome;
  beforeAll(async () => {
    await train(1, 'alone');
    alone = outcome('alone');
  });

  it.each([2, 3])(
    'gives the losses, weights and evaluations of one process with %i processes',
    async (count) => {
      await train(count, `${count}`);
      expectClose(outcome(`${count}`), alone);
    },
  );

  it('normalises the batches of a SlowFast like one process', async () => {
    // AdamW would turn what is only rounding into steps of full size, and norms of few positions would amplify them.
    const settings = [...words(TINY_SLOWFAST), 'SOLVER.OPTIMIZING_METHOD', 'sgd', 'SOLVER.BASE_LR', '1e-5'];
    await train(1, 'slowfast-alone', settings);
    await train(2, 'slowfast', settings);
    // Rounding decides which of two equal maxima gets a gradient, and which side of a ReLU's kink counts. Biases start at zero.
    expectClose(outcome('slowfast'), outcome('slowfast-alone'), { gradNorm: 1e-2, weights: 5e-2 });
  });

  it('gives the same bits again', async () => {
    await train(2, 'again');
    expect(outcome('again')).toEqual(outcome('2'));
  });

  it('goes on with another number of processes', async () => {
    await train(2, 'resumed', ['SOLVER.MAX_EPOCH', '1']);
    await train(1, 'resumed', ['--resume', 'SOLVER.MAX_EPOCH', '2']);
    await train(3, 'resumed', ['--resume']);
    expectClose(outcome('resumed'), alone);
  });
});

/** @file Several processes train as one process does with the same batches. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { elementsOf, isHostTensor } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { start } from '../support/cli.js';
import { readJsonLines } from '../support/json_lines.js';
import { launchers, startMpiRun } from '../support/mpi.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';

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

interface MetricsLine {
  readonly loss: number;
  readonly grad_norm: number;
  readonly lr: readonly number[];
  readonly losses: Readonly<Record<string, number>>;
}

interface Outcome {
  /** Loss, gradient norm and learning rates of each iteration. */
  readonly metrics: readonly (readonly number[])[];
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly evaluations: readonly unknown[];
}

function outcome(folder: string): Outcome {
  const path = join(home, folder);
  const content = readPth(join(path, 'model_final.pth')) as Map<string, unknown>;
  const weights = new Map<string, Float32Array>();
  for (const [name, tensor] of content.get('model') as Map<string, unknown>)
    if (isHostTensor(tensor)) weights.set(name, elementsOf(tensor) as Float32Array);
  return {
    metrics: readJsonLines<MetricsLine>(join(path, 'metrics.jsonl')).map(
      ({ loss, grad_norm, lr, losses }) => [loss, grad_norm, ...lr, ...Object.values(losses)],
    ),
    weights,
    evaluations: readJsonLines<Record<string, unknown>>(join(path, 'evaluations.jsonl')).map(
      ({ iteration, mAP, per_class }) => [iteration, mAP, per_class],
    ),
  };
}

/** ‖a − b‖ / ‖b‖ */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [distance, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    distance += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(distance / (norm || 1));
}

function expectClose(actual: Outcome, expected: Outcome): void {
  expect(actual.metrics).toHaveLength(expected.metrics.length);
  for (const [i, numbers] of actual.metrics.entries())
    expect(difference(numbers, expected.metrics[i]), `iteration ${i + 1}`).toBeLessThan(1e-5);
  for (const [name, weight] of expected.weights) {
    // The bias of attention's keys has no effect: its gradient is rounding noise, which AdamW scales up.
    const part = name.endsWith('in_proj_bias') ? weight.length / 3 : weight.length;
    const found = actual.weights.get(name) ?? new Float32Array();
    expect(difference(found.subarray(0, part), weight.subarray(0, part)), name).toBeLessThan(1e-4);
  }
  expect(actual.evaluations).toEqual(expected.evaluations);
}

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

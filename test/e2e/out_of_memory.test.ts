/** @file Allocations that really fail: a single tensor larger than any machine has room for. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type LoadedConfig, loadConfig } from '../../src/config/index.js';
import { selectEngine } from '../../src/engine/index.js';
import { OutOfMemoryError } from '../../src/errors.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { initializeParameters } from '../../src/nn/module.js';
import { type TrainOptions, train } from '../../src/training/train.js';
import { TrainingState } from '../../src/training/training_state.js';
import { readJsonLines } from '../support/json_lines.js';
import { saveCheckpoint } from '../support/save_checkpoint.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';
import { TinyTraining, train as trainTiny } from '../support/tiny_training.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

const OPTIONS: TrainOptions = {
  engine: 'onnx',
  device: 'cpu',
  transfer: false,
  noHead: false,
  adjustLr: false,
  resume: false,
  seed: 0,
  verbose: false,
  tensorBoard: false,
  tensorBoardHistograms: null,
  skipFinalTest: true,
  skipValidation: true,
};

function load(output: string, overrides: string): LoadedConfig {
  const words = `${MICRO} SOLVER.MAX_EPOCH 1 OUTPUT_DIR ${join(folder, output)} ${overrides}`.trim();
  return loadConfig('config_files/tiny.yaml', words.split(/ +/));
}

/** A run of the micro model in this process. */
async function run(output: string, overrides: string, options: Partial<TrainOptions> = {}): Promise<boolean> {
  const { isStopped } = await train(load(output, overrides), { ...OPTIONS, ...options });
  return !isStopped;
}

/** Saves a checkpoint, as of a training that has done nothing yet, whose model is too large to train. */
async function saveUntrained(output: string, overrides: string): Promise<string> {
  const { config } = load(output, overrides);
  const state = TrainingState.build(config);
  initializeParameters(state.model, 0);
  mkdirSync(config.OUTPUT_DIR);
  const path = await saveCheckpoint(config.OUTPUT_DIR, 'model_0000000', state.checkpoint());
  state.model.dispose();
  state.optimizer.dispose();
  return path;
}

/** Scores between so many queries take 1.4 TB, in one tensor; everything before them is small. */
const QUERIES = 600_000;

interface LogLine {
  level: number;
  msg: string;
}
const logOf = (output: string) => readJsonLines<LogLine>(join(folder, output, 'log.jsonl'));

const failureOf = async (work: Promise<unknown>): Promise<Error> => {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
};

describe('a run that needs more memory than the machine has', () => {
  let before: Uint8Array;
  let failure: Error;

  beforeAll(async () => {
    expect(await run('small', '')).toBe(true);
    const overrides = `MODEL.STM.NUM_QUERIES ${QUERIES} SOLVER.VIDEOS_PER_BATCH 2`;
    const path = await saveUntrained('large', overrides);
    before = readFileSync(path);
    failure = await failureOf(run('large', overrides, { resume: true }));
  }, 600_000);

  it('estimates its memory at the start', () => {
    const [sound, large] = ['small', 'large'].map((output) =>
      logOf(output).find(({ msg }) => msg.startsWith('memory: about')),
    ) as [LogLine, LogLine];
    expect(sound).toMatchObject({ level: 30 });
    expect(sound.msg).toMatch(
      /^memory: about \d\.\d\d GiB at the peak \(process \d\.\d.*\); \d+\.\d\d GiB here/,
    );
    expect(large).toMatchObject({ level: 40 });
    expect(large.msg).toMatch(
      /most likely not fit\. These settings take less:\n {2}SOLVER\.VIDEOS_PER_BATCH 1 SOLVER\.ACCUMULATE 2, which computes the same \(about/,
    );
  });

  it('ends with the amount requested, the amount available, and what helps', () => {
    expect(failure).toBeInstanceOf(OutOfMemoryError);
    expect(failure).toMatchObject({ exitCode: 1 });
    expect(failure.message).toMatch(
      /^out of memory: [\d.]+ GiB could not be allocated\. This process has \d+\.\d\d GiB; of [\d.]+ GiB here [\d.]+ GiB are free\. /,
    );
    const asked = Number(/: ([\d.]+) GiB/.exec(failure.message)![1]);
    expect(asked).toBeGreaterThanOrEqual((4 * QUERIES ** 2) / 2 ** 30 - 1);
    expect(failure.message).toMatch(/The batch was 2 clips of 4 frames, 32×64; the run was expected to take/);
    expect(failure.message).toContain('SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 2');
  });

  it('names the last checkpoint, which is unchanged', () => {
    const path = join(folder, 'large', 'model_0000000.pth');
    expect(failure.message).toContain(`The last checkpoint, ${path}, is as it was`);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect((readPth(path) as Map<string, unknown>).get('iteration')).toBe(0);
  });

  it('leaves the engine able to continue', async () => {
    const training = new TinyTraining();
    const [first] = await trainTiny(training, 1);
    expect(first.every(Number.isFinite)).toBe(true);
    const path = await training.save(folder);
    expect((readPth(path) as Map<string, unknown>).get('iteration')).toBe(1);
    training.dispose();
  });
});

/** Null where the engine is set up, else what is missing. */
const tensorflow = await selectEngine({ engine: 'tensorflow', device: 'cpu' }).then(
  () => null,
  (error: Error) => error.message,
);
await selectEngine({ engine: 'onnx', device: 'cpu' });

it.skipIf(tensorflow !== null)(
  'a tensorflow run that needs too much memory also names the shape of the tensor',
  async () => {
    const failure = await failureOf(
      run('tensorflow', `MODEL.STM.NUM_QUERIES ${QUERIES}`, { engine: 'tensorflow' }),
    );
    expect(failure).toBeInstanceOf(OutOfMemoryError);
    expect(failure.message).toMatch(
      /^out of memory: 1341\.10 GiB, a tensor \[\d+, 600000, 600000\], could not be allocated/,
    );
    expect(failure.message).toMatch(/No checkpoint was saved yet/);
    expect(logOf('tensorflow').filter(({ msg }) => msg.startsWith('memory: about'))).toEqual([]);
  },
  120_000,
);

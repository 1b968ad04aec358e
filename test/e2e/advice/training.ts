/** @file Advice about training runs. */
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmeasuredRemedies } from '../../../src/training/memory/remedies.js';
import { stmixer } from '../../support/cli.js';
import { TEST_ENGINE } from '../../support/engine.js';
import { MICRO, tinyConfig } from '../../support/tiny_config.js';
import { type Advice, commandLine, found, type Outcome, outcomeOf } from './advice.js';

/** One iteration of the smallest model. */
export const SETTINGS: readonly string[] = `${MICRO} SOLVER.ITER_PER_EPOCH 1 SOLVER.MAX_EPOCH 1`.split(' ');

/** `stmixer train` of one iteration on the sample; `words` are flags, then settings. */
export function train(folder: string, words = ''): Promise<Outcome> {
  const all = words.split(' ').filter(Boolean);
  const settings = all.findIndex((word) => /^[A-Za-z]+(\.|_DIR$)/.test(word));
  const [flags, rest] = settings < 0 ? [all, []] : [all.slice(0, settings), all.slice(settings)];
  return commandLine(
    ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', TEST_ENGINE],
    ...['--skip-val-in-train', '--skip-final-test', ...flags],
    ...SETTINGS,
    ...['OUTPUT_DIR', join(folder, 'run')],
    ...rest,
  );
}

/** A training that is refused or warns in its folder, and one with what the message proposes. */
export function training(
  says: string,
  wrong: string,
  right: (text: string, folder: string) => string,
): Advice {
  return {
    says,
    meet: (folder) => train(folder, wrong),
    follow: (folder, text) => train(folder, right(text, folder)),
  };
}

/** The same after a first training, whose files are in `run`. */
export function afterFirst(
  says: string,
  wrong: string,
  right: (text: string, folder: string) => string,
): Advice {
  const advice = training(says, wrong, right);
  return {
    ...advice,
    meet: async (folder) => {
      await copyFirst(folder);
      return advice.meet(folder);
    },
  };
}

const FIRST = join(tmpdir(), `stmixer-advice-${process.pid}`);
process.on('exit', () => rmSync(FIRST, { recursive: true, force: true }));

/** Puts the files of a finished training into `run`; it is made once. */
export async function copyFirst(folder: string): Promise<void> {
  if (!existsSync(FIRST)) {
    const { text, failed } = await train(FIRST);
    if (failed) throw new Error(text);
  }
  cpSync(join(FIRST, 'run'), join(folder, 'run'), { recursive: true });
}

/** The flag that shows where a training went wrong. */
const replayed = (text: string) => found(text, /"stmixer train … (--replay \S+)"/);

/** Replays the batch that a message names; what is not finite in it is an error, and what was asked for. */
async function replay(folder: string, text: string): Promise<Outcome> {
  const file = found(text, /(\S+nonfinite_\d+\.pth)/);
  const { text: shown } = await train(folder, `--replay ${file} ${DIVERGING}`);
  return { text: shown, failed: !/is not finite/.test(shown) };
}

/** A setting that makes the memory of a run smaller. */
function remedy(says: string, changes: Record<string, unknown>): Advice {
  const remedies = (set: Record<string, unknown>) => () =>
    unmeasuredRemedies(tinyConfig({ ...changes, ...set })).join('\n');
  return {
    says,
    meet: () => outcomeOf(remedies({})),
    follow: (_, text) => {
      const line = text.split('\n').find((words) => words.includes(says))!;
      const pairs = [...line.matchAll(/([A-Za-z]+(?:\.[A-Z_]+)+) (\w+)/g)].map(([, key, value]) => [
        key,
        value,
      ]);
      return outcomeOf(() => {
        const rest = remedies(Object.fromEntries(pairs))();
        return rest.split('\n').includes(line) ? line : '';
      });
    },
  };
}

/** Weights overflow in the second iteration. */
const DIVERGING = 'SOLVER.BASE_LR 1e38 SOLVER.WARMUP_ON False SOLVER.ITER_PER_EPOCH 2';

export const TRAINING: readonly Advice[] = [
  remedy('ViT.USE_CHECKPOINT True', {}),
  remedy('which computes the same', { 'SOLVER.VIDEOS_PER_BATCH': 2 }),
  remedy('TEST.VIDEOS_PER_BATCH', { 'TEST.VIDEOS_PER_BATCH': 2 }),
  remedy('DATALOADER.NUM_WORKERS 1', { 'DATALOADER.NUM_WORKERS': 4 }),
  {
    says: 'DATA.TRAIN_MIN_SCALES with nothing above',
    meet: () => outcomeOf(() => unmeasuredRemedies(tinyConfig()).join('\n')),
    follow: (folder, text) =>
      train(folder, `DATA.TRAIN_MIN_SCALES [${found(text, /nothing above (\d+)/)}] SOLVER.ITER_PER_EPOCH 1`),
  },
  {
    says: 'A lower SOLVER.BASE_LR',
    meet: (folder) => train(folder, DIVERGING),
    follow: (folder) => train(folder, '--overwrite SOLVER.BASE_LR 1e-5 SOLVER.WARMUP_ON False'),
  },
  {
    says: 'SOLVER.ON_NONFINITE skip leaves such batches out',
    meet: (folder) => train(folder, DIVERGING),
    follow: (folder) =>
      train(folder, `--overwrite ${DIVERGING} SOLVER.ON_NONFINITE skip SOLVER.NONFINITE_LIMIT 9`),
  },
  {
    says: '" shows where it goes wrong',
    meet: (folder) => train(folder, DIVERGING),
    follow: replay,
  },
  {
    says: 'frames, DATA.NUM_FRAMES is',
    meet: async (folder) => {
      const { text } = await train(folder, DIVERGING);
      return train(folder, `${replayed(text)} DATA.NUM_FRAMES 8 MODEL.STM.TEMPORAL_POINTS 4`);
    },
    follow: replay,
  },
  {
    says: 'classes, MODEL.STM.ACTION_CLASSES is',
    meet: async (folder) => {
      const { text } = await train(folder, DIVERGING);
      return train(folder, `${replayed(text)} MODEL.STM.ACTION_CLASSES 70`);
    },
    follow: replay,
  },
  training(
    'SOLVER.VIDEOS_PER_BATCH · SOLVER.ACCUMULATE to at most',
    'SOLVER.VIDEOS_PER_BATCH 99',
    (text) =>
      `SOLVER.VIDEOS_PER_BATCH ${Math.min(2, Number(found(text, /to at most (\d+)/)))} SOLVER.ITER_PER_EPOCH 1`,
  ),
  {
    says: '--use-tfboard: cannot write events to',
    meet: (folder) => {
      mkdirSync(join(folder, 'run'));
      writeFileSync(join(folder, 'run', 'tensorboard'), '');
      return train(folder, '--use-tfboard');
    },
    follow: (folder) => {
      rmSync(join(folder, 'run', 'tensorboard'));
      return train(folder, '--use-tfboard');
    },
  },
  {
    says: 'torchrun or torch.distributed.launch has started this process',
    meet: async (folder) => {
      const words = ['train', '--local_rank=0', '--config-file', 'config_files/tiny.yaml', ...SETTINGS];
      const run = [...words, 'OUTPUT_DIR', join(folder, 'run')];
      const { code, stdout, stderr } = await stmixer(run, { WORLD_SIZE: '4' });
      return { text: stdout + stderr, failed: code !== 0 };
    },
    // Without mpirun, which not every machine has; a test in test/distributed follows the rest.
    follow: (_, text) =>
      commandLine(...found(text, /Start it with: mpirun -np 4 stmixer (.*) \(under/).split(' ')),
  },
  afterFirst('To continue that run, use --resume', '--transfer', () => '--resume SOLVER.MAX_EPOCH 2'),
  afterFirst('choose another OUTPUT_DIR, or add --overwrite', '--transfer', () => '--transfer --overwrite'),
  afterFirst(
    'To train a new one, choose another OUTPUT_DIR',
    '--transfer',
    (_, folder) =>
      `--transfer MODEL.WEIGHT ${join(folder, 'run', 'model_final.pth')} OUTPUT_DIR ${join(folder, 'other')}`,
  ),
  {
    says: 'write the path of its checkpoint into',
    meet: async (folder) => {
      await copyFirst(folder);
      for (const name of ['last_checkpoint', 'model_0000001.pth'])
        rmSync(join(folder, 'run', name), { force: true });
      return train(folder, '--resume');
    },
    follow: (folder) => {
      writeFileSync(join(folder, 'run', 'last_checkpoint'), join(folder, 'run', 'model_final.pth'));
      return train(folder, '--resume SOLVER.MAX_EPOCH 2');
    },
  },
  {
    says: 'is a folder, and the run writes a file of this name',
    meet: (folder) => {
      mkdirSync(join(folder, 'run', 'metrics.jsonl'), { recursive: true });
      return train(folder);
    },
    follow: (folder) => {
      renameSync(join(folder, 'run', 'metrics.jsonl'), join(folder, 'moved'));
      return train(folder);
    },
  },
  {
    says: 'or give that file another name',
    meet: (folder) => {
      mkdirSync(join(folder, 'run'));
      writeFileSync(join(folder, 'run', 'config.yaml'), 'SOLVER: {GAMMA: 0.2}\n');
      return train(folder);
    },
    follow: (folder) => {
      renameSync(join(folder, 'run', 'config.yaml'), join(folder, 'run', 'mine.yaml'));
      return train(folder);
    },
  },
];

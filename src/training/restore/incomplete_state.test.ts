/** @file Checkpoints that lack a part of a training's state: an older whole one takes their place, or they are named. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { saveCheckpoint } from '../../../test/support/save_checkpoint.js';
import { temporaryFiles, temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import { TinyTraining } from '../../../test/support/tiny_training.js';
import { Checkpointer } from '../../checkpoint/checkpointer.js';
import type { Config } from '../../config/index.js';
import { CheckpointError } from '../../errors.js';
import { float32Tensor, type HostTensor } from '../../formats/host_tensor.js';
import { readPth } from '../../formats/pth/pth_reader.js';
import { writePth } from '../../formats/pth/pth_writer.js';
import type { PyDict, PyValue } from '../../formats/python/values.js';
import { type RestoreRequest, type RunStart, restoreState } from './restore.js';

type Content = Map<string, PyValue>;
/** Changes a checkpoint, or returns another one. */
type Change = (content: Content) => unknown;

const { at } = temporaryFiles();
const RESUME = { transfer: false, noHead: false, adjustLr: false, resume: true, seed: null };
let training: TinyTraining;
let home: string;
/** A whole checkpoint after iteration 2. */
let whole: string;
let log: string[];

beforeAll(async () => {
  training = new TinyTraining();
  await training.step(32, 32);
  home = temporaryFolderOfFile();
  training.state.iteration = 2;
  whole = await saveCheckpoint(home, 'whole', training.state.checkpoint());
});
afterAll(() => {
  training.dispose();
});
beforeEach(() => {
  log = [];
});

/** A whole checkpoint after iteration 1, and after iteration 2 one that `change` has made less of. */
async function folderWith(change: Change, older = true): Promise<string> {
  const folder = at('run');
  mkdirSync(folder);
  const content = readPth(whole) as Content;
  if (older) await writePth(join(folder, 'model_0000001.pth'), new Map([...content, ['iteration', 1]]));
  const changed = change(content);
  await writePth(join(folder, 'changed.pth'), changed instanceof Map ? changed : content);
  writeFileSync(join(folder, 'last_checkpoint'), 'changed.pth');
  return folder;
}

function restore(
  folder: string,
  request: Partial<RestoreRequest> = {},
  weight = '',
): Pick<RunStart, 'source'> & { iteration: number } {
  const base = tinyConfig({ 'SOLVER.WARMUP_ON': false, 'SOLVER.ITER_PER_EPOCH': 4 });
  const cfg: Config = { ...base, OUTPUT_DIR: folder, MODEL: { ...base.MODEL, WEIGHT: weight } };
  const { state } = training;
  const lines = { info() {}, warn: (line: string) => void log.push(line) };
  state.iteration = 0;
  const { source } = restoreState(state, {
    checkpointer: new Checkpointer(folder),
    cfg,
    request: { ...RESUME, ...request },
    log: lines,
  });
  return { iteration: state.iteration, source };
}

const dict = (content: Content, ...keys: string[]) =>
  keys.reduce<PyDict>((value, key) => value.get(key) as PyDict, content);
const statesOf = (content: Content) => dict(content, 'optimizer', 'state') as Map<PyValue, PyDict>;

/** Parts that are taken away, and how that is called. */
const GAPS: [string, Change, RegExp][] = [
  [
    'only weights',
    (content) => new Map([['model', content.get('model')!]]),
    /lacks the optimizer's state, the schedule and the iteration$/,
  ],
  [
    'what torch.save(model.state_dict()) writes',
    (content) => content.get('model') as unknown as Content,
    /lacks the optimizer's state, the schedule and the iteration$/,
  ],
  [
    'no model',
    (content) => content.delete('model'),
    /changed\.pth: holds \d+ tensors, but no state dict, .*: optimizer\.state/,
  ],
  ['no optimizer', (content) => content.delete('optimizer'), /lacks the optimizer's state$/],
  ['None as optimizer', (content) => content.set('optimizer', null), /lacks the optimizer's state$/],
  [
    'an empty optimizer',
    (content) => content.set('optimizer', new Map()),
    /lacks "param_groups" and "state" of the optimizer's state$/,
  ],
  [
    'no groups',
    (content) => dict(content, 'optimizer').delete('param_groups'),
    /lacks "param_groups" of the optimizer's state$/,
  ],
  ['no schedule', (content) => content.delete('scheduler'), /lacks the schedule$/],
  [
    'a schedule without position',
    (content) => dict(content, 'scheduler').delete('last_epoch'),
    /lacks "last_epoch" of the schedule$/,
  ],
  ['no iteration', (content) => content.delete('iteration'), /lacks the iteration$/],
  [
    'no moments',
    (content) => {
      dict(content, 'optimizer').set('state', new Map());
    },
    /lacks the optimizer's state of all \d+ parameters \(/,
  ],
  [
    'moments of all parameters but two',
    (content) => [3, 5].map((index) => statesOf(content).delete(index)),
    /lacks the optimizer's state of 2 of \d+ parameters \(/,
  ],
  [
    'moments without their count',
    (content) => statesOf(content).get(0)!.delete('step'),
    /lacks the optimizer's state of 1 of /,
  ],
  [
    'one of two moments',
    (content) => statesOf(content).get(0)!.delete('exp_avg_sq'),
    /lacks the optimizer's state of 1 of /,
  ],
  [
    'no weights of the head',
    (content) => {
      const model = content.get('model') as Map<string, HostTensor>;
      for (const name of [...model.keys()]) if (name.startsWith('stm_head')) model.delete(name);
    },
    /lacks \d+ of the model's weights \(stm_head\./,
  ],
];

const some = (...names: string[]) => GAPS.filter(([name]) => names.includes(name));

describe('resuming from a checkpoint with', () => {
  it.each(GAPS)('%s continues from the older one and explains why', async (_what, change, message) => {
    const folder = await folderWith(change);
    expect(restore(folder).iteration).toBe(1);
    expect(log[0]).toMatch(message);
    expect(log[0]).toContain(join(folder, 'changed.pth'));
    expect(log[1]).toMatch(/going on from .*model_0000001\.pth instead/);
  });

  it.each(some('only weights', 'no schedule', 'no moments'))(
    '%s and no other checkpoint ends with advice that works',
    async (_what, change, message) => {
      const folder = await folderWith(change, false);
      const fail = () => restore(folder);
      expect(fail).toThrow(CheckpointError);
      expect(fail).toThrow(new RegExp(message.source.replace('$', '\n')));
      expect(fail).toThrow(
        `use --transfer MODEL.WEIGHT ${join(folder, 'changed.pth')} with another OUTPUT_DIR, without --resume`,
      );
      expect(fail).toThrow(/To start afresh use --overwrite instead of --resume/);
      expect(() => restore(folder, { resume: false })).toThrow(
        /use --overwrite, which .* with another OUTPUT_DIR\.$/,
      );
      expect(
        restore(at(), { resume: false, transfer: true, noHead: true }, join(folder, 'changed.pth')).iteration,
      ).toBe(0);
    },
  );
});

it('reports that schedule and iteration contradict each other', async () => {
  const folder = await folderWith((content) => {
    dict(content, 'scheduler').set('last_epoch', 99);
  }, false);
  restore(folder);
  expect(log.join('\n')).toMatch(
    /the checkpoint is of iteration \d, and its schedule of iteration 99: the learning rate/,
  );
});

describe('MODEL.WEIGHT with', () => {
  it.each(some('no optimizer', 'no iteration', 'moments of all parameters but two'))(
    '%s is an error that names --transfer',
    async (_what, change, message) => {
      const weight = join(await folderWith(change), 'changed.pth');
      const fail = () => restore(at('new'), { resume: false }, weight);
      expect(fail).toThrow(
        new RegExp(
          message.source.replace('$', '\\. To start a new training from its weights, add --transfer$'),
        ),
      );
      expect(fail).toThrow(/^MODEL\.WEIGHT: /);
    },
  );

  it.each(GAPS.slice(0, 2))('%s is loaded without a warning', async (_what, change) => {
    const weight = join(await folderWith(change), 'changed.pth');
    expect(restore(at('new'), { resume: false }, weight)).toMatchObject({
      iteration: 0,
      source: 'MODEL.WEIGHT',
    });
    expect(log).toEqual([]);
  });

  it('weights and an iteration only, as in published checkpoints, is an error', async () => {
    const weight = join(
      await folderWith((content) => new Map([...content].filter(([key]) => /model|iteration/.test(key)))),
      'changed.pth',
    );
    expect(() => restore(at('new'), { resume: false }, weight)).toThrow(/optimizer's state and the schedule/);
  });
});

describe('a complete state', () => {
  it('needs no moments before the first iteration', async () => {
    const folder = await folderWith((content) => {
      dict(content, 'optimizer').set('state', new Map());
      content.set('iteration', 0);
      dict(content, 'scheduler').set('last_epoch', 0);
    });
    expect(restore(folder).iteration).toBe(0);
    expect(log).toEqual([]);
  });

  it('needs no base learning rates if only the position of the schedule is used', async () => {
    const folder = await folderWith((content) => dict(content, 'scheduler').delete('base_lrs'));
    expect(restore(folder, { adjustLr: true }).iteration).toBe(2);
    expect(restore(folder).iteration).toBe(1);
  });
});

it('continues without moments if --allow-partial is given', async () => {
  const folder = await folderWith((content) => statesOf(content).delete(3));
  expect(restore(folder, { allowPartial: true }).iteration).toBe(2);
  expect(log[0]).toMatch(
    /lacks the optimizer's state of 1 of .*\n--allow-partial: training goes on, and what is missing/,
  );
});

describe('a checkpoint of another model', () => {
  it('is no reason to go back, and the error proposes nothing that --resume ignores', async () => {
    const folder = await folderWith((content) => {
      const [, group] = dict(content, 'optimizer').get('param_groups') as unknown as Map<string, PyValue[]>[];
      group.get('params')!.pop();
      group.delete('param_names');
    });
    const fail = () => restore(folder);
    expect(fail).toThrow(
      /changed\.pth: the checkpoint's optimizer state does not fit this run: .*To continue, use the model/,
    );
    expect(fail).toThrow(
      /use --transfer MODEL\.WEIGHT .*changed\.pth with another OUTPUT_DIR, without --resume$/,
    );
    expect(() => restore(at('new'), { resume: false }, join(folder, 'changed.pth'))).toThrow(
      /new run, add --transfer$/,
    );
    expect(log).toEqual([]);
  });

  it('gets --no-head proposed, with what makes it work, if its head differs', async () => {
    const folder = await folderWith((content) => {
      const model = content.get('model') as Map<string, HostTensor>;
      const name = [...model.keys()].find((key) => /stm_head.*fc_cls|stm_head.*cls.*weight/.test(key))!;
      model.set(name, float32Tensor([1, 2], new Float32Array(2)));
    });
    expect(() => restore(folder)).toThrow(
      /Use --transfer --no-head MODEL\.WEIGHT .*changed\.pth \(with another OUTPUT_DIR and without --resume\) to load everything but/,
    );
    expect(() => restore(at('new'), { resume: false }, join(folder, 'changed.pth'))).toThrow(
      /Use --transfer --no-head to/,
    );
  });
});

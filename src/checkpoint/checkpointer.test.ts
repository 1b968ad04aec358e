/** @file Tests of saving checkpoints beside the training, and of finding the one to start from. */
import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../test/support/save_checkpoint.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { CheckpointError } from '../errors.js';
import { float32Tensor, type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { readPth } from '../formats/pth/pth_reader.js';
import { writePth } from '../formats/pth/pth_writer.js';
import type { PyValue } from '../formats/python/values.js';
import { checkpointName, FINAL_CHECKPOINT } from './checkpoint_names.js';
import { Checkpointer, type CheckpointerOptions } from './checkpointer.js';

const { at } = temporaryFiles();
let folder: string;
let home: string;
let opened: Checkpointer[];
beforeEach(() => {
  home = process.cwd();
  folder = join(realpathSync(at()), 'output');
  mkdirSync(folder);
  opened = [];
});
afterEach(async () => {
  process.chdir(home);
  for (const checkpointer of opened) await checkpointer.close();
});

const log = () => ({ info: vi.fn(), warn: vi.fn(), debug: vi.fn(), error: vi.fn() });

function open(options: CheckpointerOptions = {}): Checkpointer {
  const checkpointer = new Checkpointer(folder, { retrySeconds: 30, ...options });
  opened.push(checkpointer);
  return checkpointer;
}

const WEIGHTS = Float32Array.of(1, 2, 3);
const parts = (iteration: number, data = WEIGHTS) => ({
  model: new Map([['w', float32Tensor([data.length], data)]]),
  optimizer: null,
  scheduler: null,
  iteration,
});
const saved = (name: string) => {
  const content = readPth(join(folder, `${name}.pth`)) as Map<string, Map<string, HostTensor>>;
  return Array.from(toFloat32(content.get('model')!.get('w')!));
};
const pointer = () => readFileSync(join(folder, 'last_checkpoint'), 'utf8');

it('uses the file names of the official trainer', () => {
  expect(checkpointName(23048)).toBe('model_0023048');
  expect(FINAL_CHECKPOINT).toBe('model_final');
});

describe('save', () => {
  it("writes the official trainer's keys in its order, and the path into last_checkpoint", async () => {
    const checkpointer = open({ freeMemory: () => 0 });
    const path = await checkpointer.save(checkpointName(7), parts(7));
    expect(path).toBe(join(folder, 'model_0000007.pth'));
    const content = readPth(path) as Map<string, PyValue>;
    expect([...content.keys()]).toEqual(['model', 'optimizer', 'scheduler', 'iteration']);
    expect(pointer()).toBe(path);
    expect(checkpointer.latest()).toBe(path);
    expect(await checkpointer.save(FINAL_CHECKPOINT, parts(8))).toBe(checkpointer.latest());
  });

  it('leaves last_checkpoint as it was if it fails', async () => {
    const checkpointer = open({ freeMemory: () => 0 });
    const first = await checkpointer.save('first', parts(1));
    const gone = { dtype: 'float32' as const, shape: [1], bytes: () => new Uint8Array(0) };
    const second = { ...parts(2), model: new Map([['w', gone]]) };
    await expect(checkpointer.save('second', second)).rejects.toThrow();
    expect(checkpointer.latest()).toBe(first);
  });

  it('takes a copy, so that later changes are not in the file', async () => {
    const checkpointer = open();
    const data = Float32Array.of(1, 2, 3);
    await checkpointer.save('model_0000001', parts(1, data));
    data.fill(9);
    await checkpointer.settle();
    expect(saved('model_0000001')).toEqual([1, 2, 3]);
  });

  it('writes before it returns if there is no memory for a copy', async () => {
    const messages = log();
    await open({ freeMemory: () => 10, log: messages }).save('model_0000001', parts(1));
    expect(saved('model_0000001')).toEqual([1, 2, 3]);
    expect(messages.debug).toHaveBeenCalledWith(expect.stringContaining('no memory for a copy'));
  });

  it('writes one checkpoint after the other, and points to the last one that counts', async () => {
    const checkpointer = open();
    const first = await checkpointer.save('model_0000001', parts(1));
    await checkpointer.save('model_0000002', parts(2));
    await checkpointer.save('model_best', parts(2), { isLast: false });
    await checkpointer.alias(first, 'model_first');
    expect(pointer()).toBe(join(folder, 'model_0000002.pth'));
    expect(['model_0000002', 'model_best', 'model_first'].map(saved)).toEqual(Array(3).fill([1, 2, 3]));
  });

  it.each([
    ['while training continues', {}],
    ['while training waits', { freeMemory: () => 0 }],
  ])('waits if the folder is missing, %s', async (_, options) => {
    const messages = log();
    const checkpointer = open({ ...options, log: messages });
    renameSync(folder, `${folder}-away`);
    const done = checkpointer.save('model_0000001', parts(1)).then(() => checkpointer.settle());
    await vi.waitFor(() => expect(messages.warn).toHaveBeenCalled(), 5000);
    renameSync(`${folder}-away`, folder);
    await done;
    expect(saved('model_0000001')).toEqual([1, 2, 3]);
    expect(messages.warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(
        /model_0000001\.pth: cannot be written: the folder .* does not exist; trying again for/,
      ),
    );
  });

  it('fails after the retry time with a checkpoint error that names the last checkpoint', async () => {
    const checkpointer = open({ retrySeconds: 0.2 });
    await checkpointer.save('model_0000001', parts(1));
    await checkpointer.settle();
    renameSync(folder, `${folder}-away`);
    await checkpointer.save('model_0000002', parts(2, Float32Array.of(4)));
    const failed = await vi.waitFor(() => {
      let error: unknown;
      try {
        checkpointer.check();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(CheckpointError);
      return error as CheckpointError;
    }, 5000);
    expect(failed.exitCode).toBe(4);
    expect(failed.message).toMatch(
      /tried for .* There is no earlier checkpoint; the steps .* iteration 2 are lost/,
    );
    // The error is thrown once, and later saves work.
    renameSync(`${folder}-away`, folder);
    checkpointer.check();
    expect(saved('model_0000001')).toEqual([1, 2, 3]);
    await checkpointer.save('model_0000003', parts(3));
    await checkpointer.settle();
    expect(saved('model_0000003')).toEqual([1, 2, 3]);
  });

  it('keeps the newest numbered checkpoints, and those of later iterations, which belong to another run', async () => {
    const checkpointer = open({ keep: 2 });
    for (const iteration of [99, 1, 2, 3]) {
      await checkpointer.save(checkpointName(iteration), parts(iteration));
    }
    await checkpointer.save('model_final', parts(4));
    await checkpointer.settle();
    for (const name of ['model_0000002', 'model_0000003', 'model_0000099', 'model_final']) saved(name);
    expect(() => saved('model_0000001')).toThrow(CheckpointError);
  });

  it('removes the checkpoint that was saved by time once a newer one exists', async () => {
    const checkpointer = open();
    await checkpointer.save('model_latest', parts(3));
    await checkpointer.save('model_best', parts(3), { isLast: false });
    await checkpointer.settle();
    expect(saved('model_latest')).toEqual([1, 2, 3]);
    await checkpointer.save('model_0000004', parts(4));
    await checkpointer.settle();
    expect(() => saved('model_latest')).toThrow(CheckpointError);
    expect(pointer()).toBe(join(folder, 'model_0000004.pth'));
    // One that is ahead belongs to steps that this run has gone back behind.
    await checkpointer.save('model_latest', parts(9));
    await checkpointer.save('model_0000005', parts(5));
    await checkpointer.settle();
    expect(saved('model_latest')).toEqual([1, 2, 3]);
  });
});

describe('plan', () => {
  const plain = { weight: '', resume: false, transfer: false, noHead: false };

  it('chooses between nothing, MODEL.WEIGHT and the last checkpoint', async () => {
    const checkpointer = open();
    const weight = at('weight.pth');
    await writePth(weight, parts(1).model);
    const flags = { transfer: true, noHead: true };
    expect(checkpointer.plan(plain)).toBeNull();
    expect(checkpointer.plan({ ...plain, resume: true })).toBeNull();
    const fromWeight = { path: weight, source: 'MODEL.WEIGHT', ...flags };
    expect(checkpointer.plan({ ...plain, ...flags, weight })).toEqual(fromWeight);
    expect(checkpointer.plan({ ...plain, ...flags, weight, resume: true })).toEqual(fromWeight);

    const last = await saveCheckpoint(folder, 'model_final', parts(3));
    const fromLast = { path: last, source: 'last_checkpoint', transfer: false, noHead: false };
    expect(checkpointer.plan(plain)).toEqual(fromLast);
    expect(checkpointer.plan({ ...plain, ...flags })).toEqual({ ...fromLast, ...flags });
    expect(checkpointer.plan({ ...plain, ...flags, weight })).toEqual(fromWeight);
    expect(checkpointer.plan({ ...flags, weight, resume: true })).toEqual(fromLast);
  });

  it('takes a given checkpoint of the run in place of the last one', async () => {
    const older = await saveCheckpoint(folder, 'model_0000001', parts(1));
    const last = await saveCheckpoint(folder, 'model_0000002', parts(2));
    const checkpointer = open();
    expect(checkpointer.fallbacks(last)).toEqual([older]);
    expect(checkpointer.fallbacks(older)).toEqual([]);
    expect(checkpointer.plan({ ...plain, resume: true, fallback: older })?.path).toBe(older);
  });

  it('follows a path relative to the working directory, or else the file beside last_checkpoint', async () => {
    process.chdir(realpathSync(at()));
    const path = await saveCheckpoint('output', 'model_final', parts(1));
    expect(path).toBe(join('output', 'model_final.pth'));
    expect(new Checkpointer('output').latest()).toBe(path);
    renameSync('output', 'moved');
    expect(new Checkpointer('moved').latest()).toBe(join('moved', 'model_final.pth'));
    const moved = join(process.cwd(), 'moved');
    process.chdir(tmpdir());
    expect(new Checkpointer(moved).latest()).toBe(join(moved, 'model_final.pth'));
  });

  it('ignores white space around the path in last_checkpoint', async () => {
    const path = await saveCheckpoint(folder, 'model_final', parts(1));
    writeFileSync(join(folder, 'last_checkpoint'), `${path}\n`);
    expect(open().latest()).toBe(path);
  });

  it('refuses files that do not exist', () => {
    const checkpointer = open();
    const missing = { ...plain, weight: 'no/such.pth' };
    expect(() => checkpointer.plan(missing)).toThrow(
      /MODEL\.WEIGHT: no\/such\.pth: no such file \(looked for \//,
    );
    expect(() => checkpointer.plan(missing)).toThrow(CheckpointError);
    writeFileSync(join(folder, 'last_checkpoint'), 'gone/model.pth');
    expect(checkpointer.latest()).toBeNull();
    expect(() => checkpointer.plan(plain)).toThrow(
      /names gone\/model\.pth, but neither that nor .*model\.pth exists/,
    );
    writeFileSync(join(folder, 'last_checkpoint'), ' \n');
    expect(() => checkpointer.plan(plain)).toThrow(/is empty; write the path/);
    rmSync(join(folder, 'last_checkpoint'));
    mkdirSync(join(folder, 'last_checkpoint'));
    expect(() => checkpointer.plan(plain)).toThrow(CheckpointError);
  });
});

/** @file Saving beside the training: copies, order, patience with the disk, and what it says when that ends. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CheckpointError } from '../errors.js';
import { float32Tensor, type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { readPth } from '../formats/pth/pth_reader.js';
import type { Logger } from '../run/log.js';
import { Checkpointer, checkpointName } from './checkpointer.js';
import { CheckpointSaver, type SaverOptions } from './saver.js';

let home: string;
let folder: string;
let savers: CheckpointSaver[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'stmixer-saver-'));
  folder = join(home, 'output');
  mkdirSync(folder);
  savers = [];
});
afterEach(async () => {
  for (const saver of savers) await saver.close();
  rmSync(home, { recursive: true });
});

const log = () => ({ info: vi.fn(), warn: vi.fn(), debug: vi.fn(), error: vi.fn() });

function makeSaver(options: Partial<SaverOptions> = {}, messages = log()): CheckpointSaver {
  const saver = new CheckpointSaver(new Checkpointer(folder), {
    retrySeconds: 30,
    keep: 0,
    log: messages as unknown as Logger,
    ...options,
  });
  savers.push(saver);
  return saver;
}

const weights = Float32Array.of(1, 2, 3);
const parts = (iteration: number, data = weights) => ({
  model: new Map([['w', float32Tensor([data.length], data)]]),
  optimizer: null,
  scheduler: null,
  iteration,
});
const saved = (name: string) => {
  const content = readPth(join(folder, `${name}.pth`)) as Map<string, Map<string, HostTensor>>;
  return Array.from(toFloat32(content.get('model')!.get('w')!));
};

it('takes a copy: what changes afterwards is not in the file', async () => {
  const saver = makeSaver();
  const data = Float32Array.of(1, 2, 3);
  await saver.save('model_0000001', parts(1, data));
  data.fill(9);
  await saver.settle();
  expect(saved('model_0000001')).toEqual([1, 2, 3]);
});

it('writes before it returns where there is no memory for a copy', async () => {
  const messages = log();
  await makeSaver({ availableMemory: () => 10 }, messages).save('model_0000001', parts(1));
  expect(saved('model_0000001')).toEqual([1, 2, 3]);
  expect(messages.debug).toHaveBeenCalledWith(expect.stringContaining('no memory for a copy'));
});

it('writes one checkpoint after the other; the pointer is at the last of those that count', async () => {
  const saver = makeSaver();
  const first = await saver.save('model_0000001', parts(1));
  await saver.save('model_0000002', parts(2));
  await saver.save('model_best', parts(2), { isLast: false });
  await saver.alias(first, 'model_first');
  expect(readFileSync(join(folder, 'last_checkpoint'), 'utf8')).toBe(join(folder, 'model_0000002.pth'));
  expect(['model_0000002', 'model_best', 'model_first'].map(saved)).toEqual(Array(3).fill([1, 2, 3]));
});

it.each([
  ['beside the training', {}],
  ['with training waiting', { availableMemory: () => 0 }],
])('waits for a folder that is away, %s', async (_, options) => {
  const messages = log();
  const saver = makeSaver(options, messages);
  renameSync(folder, `${folder}-away`);
  const done = saver.save('model_0000001', parts(1)).then(() => saver.settle());
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

it('gives up after its time, with a checkpoint error that says what is left', async () => {
  const saver = makeSaver({ retrySeconds: 0.2 });
  await saver.save('model_0000001', parts(1));
  await saver.settle();
  renameSync(folder, `${folder}-away`);
  await saver.save('model_0000002', parts(2, Float32Array.of(4)));
  const failed = await vi.waitFor(() => {
    let error: unknown;
    try {
      saver.check();
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
  // It is thrown once, and the saver goes on.
  renameSync(`${folder}-away`, folder);
  saver.check();
  expect(saved('model_0000001')).toEqual([1, 2, 3]);
  await saver.save('model_0000003', parts(3));
  await saver.settle();
  expect(saved('model_0000003')).toEqual([1, 2, 3]);
});

it('keeps the newest numbered ones, and those of later iterations, which are of another run', async () => {
  const saver = makeSaver({ keep: 2 });
  for (const iteration of [99, 1, 2, 3]) await saver.save(checkpointName(iteration), parts(iteration));
  await saver.save('model_final', parts(4));
  await saver.settle();
  for (const name of ['model_0000002', 'model_0000003', 'model_0000099', 'model_final']) saved(name);
  expect(() => saved('model_0000001')).toThrow(CheckpointError);
});

it('removes the checkpoint that was saved by time once a newer one stands beside it', async () => {
  const saver = makeSaver();
  await saver.save('model_latest', parts(3));
  await saver.save('model_best', parts(3), { isLast: false });
  await saver.settle();
  expect(saved('model_latest')).toEqual([1, 2, 3]);
  await saver.save('model_0000004', parts(4));
  await saver.settle();
  expect(() => saved('model_latest')).toThrow(CheckpointError);
  expect(readFileSync(join(folder, 'last_checkpoint'), 'utf8')).toBe(join(folder, 'model_0000004.pth'));
  // One that is ahead belongs to steps that this run has gone back behind.
  await saver.save('model_latest', parts(9));
  await saver.save('model_0000005', parts(5));
  await saver.settle();
  expect(saved('model_latest')).toEqual([1, 2, 3]);
});

/** @file Tests of saving, choosing and loading a run's checkpoints. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CheckpointError } from '../errors.js';
import { float32Tensor, type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { readPth } from '../formats/pth/pth_reader.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { PyFloat, type PyValue } from '../formats/python/values.js';
import { readWeightFile } from '../formats/weight_file.js';
import { Checkpointer, checkpointName, FINAL_CHECKPOINT, loadCheckpoint } from './checkpointer.js';

let folder: string;
let home: string;
beforeEach(() => {
  home = process.cwd();
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'stmixer-checkpointer-')));
});
afterEach(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

const model = (): Map<string, HostTensor> =>
  new Map([
    ['backbone.w', float32Tensor([2], Float32Array.of(1, 2))],
    ['stm_head.criterion.empty_weight', float32Tensor([2], Float32Array.of(1, 0.1))],
  ]);
const parts = (iteration: number) => ({
  model: model(),
  optimizer: { state: {}, param_groups: [{ lr: new PyFloat(1) }] },
  scheduler: { last_epoch: iteration },
  iteration,
});
const plain = { weight: '', resume: false, transfer: false, noHead: false };

test('names', () => {
  expect(checkpointName(23048)).toBe('model_0023048');
  expect(FINAL_CHECKPOINT).toBe('model_final');
});

test('a checkpoint holds what the official one holds, in its order, and last_checkpoint names it', async () => {
  const checkpointer = new Checkpointer(folder);
  const path = await checkpointer.save(checkpointName(7), parts(7));
  expect(path).toBe(join(folder, 'model_0000007.pth'));
  const content = readPth(path) as Map<string, PyValue>;
  expect([...content.keys()]).toEqual(['model', 'optimizer', 'scheduler', 'iteration']);
  expect([...(content.get('model') as Map<string, HostTensor>).keys()]).toEqual([...model().keys()]);
  expect(readFileSync(join(folder, 'last_checkpoint'), 'utf8')).toBe(path);
  expect(checkpointer.lastCheckpoint()).toBe(path);
  const final = await checkpointer.save(FINAL_CHECKPOINT, parts(8));
  expect(checkpointer.lastCheckpoint()).toBe(final);
});

test('a failed save leaves last_checkpoint as it was', async () => {
  const checkpointer = new Checkpointer(folder);
  const first = await checkpointer.save('first', parts(1));
  const gone = { dtype: 'float32' as const, shape: [1], bytes: () => new Uint8Array(0) };
  await expect(checkpointer.save('second', { ...parts(2), model: new Map([['w', gone]]) })).rejects.toThrow();
  expect(checkpointer.lastCheckpoint()).toBe(first);
});

describe('which file', () => {
  test('none, MODEL.WEIGHT, the last checkpoint', async () => {
    const checkpointer = new Checkpointer(join(folder, 'out'));
    mkdirSync(join(folder, 'out'));
    const weight = join(folder, 'weight.pth');
    await writePth(weight, model());
    const flags = { transfer: true, noHead: true };
    expect(checkpointer.resolve(plain)).toBeNull();
    expect(checkpointer.resolve({ ...plain, resume: true })).toBeNull();
    const fromWeight = { path: weight, source: 'MODEL.WEIGHT', ...flags };
    expect(checkpointer.resolve({ ...plain, ...flags, weight })).toEqual(fromWeight);
    expect(checkpointer.resolve({ ...plain, ...flags, weight, resume: true })).toEqual(fromWeight);

    const last = await checkpointer.save('model_final', parts(3));
    const fromLast = { path: last, source: 'last_checkpoint', transfer: false, noHead: false };
    expect(checkpointer.resolve(plain)).toEqual(fromLast);
    expect(checkpointer.resolve({ ...plain, ...flags })).toEqual({ ...fromLast, ...flags });
    expect(checkpointer.resolve({ ...plain, ...flags, weight })).toEqual(fromWeight);
    expect(checkpointer.resolve({ ...flags, weight, resume: true })).toEqual(fromLast);
  });

  test('the path is relative to the working directory, else beside last_checkpoint', async () => {
    process.chdir(folder);
    mkdirSync('out');
    const path = await new Checkpointer('out').save('model_final', parts(1));
    expect(path).toBe(join('out', 'model_final.pth'));
    expect(new Checkpointer('out').lastCheckpoint()).toBe(path);
    renameSync('out', 'moved');
    expect(new Checkpointer('moved').lastCheckpoint()).toBe(join('moved', 'model_final.pth'));
    process.chdir(tmpdir());
    expect(new Checkpointer(join(folder, 'moved')).lastCheckpoint()).toBe(
      join(folder, 'moved', 'model_final.pth'),
    );
  });

  test('white space around the path does not matter', async () => {
    const checkpointer = new Checkpointer(folder);
    const path = await checkpointer.save('model_final', parts(1));
    writeFileSync(join(folder, 'last_checkpoint'), `${path}\n`);
    expect(checkpointer.lastCheckpoint()).toBe(path);
  });

  test('files that are not there', () => {
    const checkpointer = new Checkpointer(folder);
    const missing = { ...plain, weight: 'no/such.pth' };
    expect(() => checkpointer.resolve(missing)).toThrow(
      /MODEL\.WEIGHT: no\/such\.pth: no such file \(looked for \//,
    );
    expect(() => checkpointer.resolve(missing)).toThrow(CheckpointError);
    writeFileSync(join(folder, 'last_checkpoint'), 'gone/model.pth');
    expect(() => checkpointer.resolve(plain)).toThrow(
      /names gone\/model\.pth, but neither that nor .*model\.pth exists/,
    );
    writeFileSync(join(folder, 'last_checkpoint'), ' \n');
    expect(() => checkpointer.resolve(plain)).toThrow(/is empty; write the path/);
    rmSync(join(folder, 'last_checkpoint'));
    mkdirSync(join(folder, 'last_checkpoint'));
    expect(() => checkpointer.resolve(plain)).toThrow(CheckpointError);
  });
});

describe('loading', () => {
  const load = (path: string, transfer = false, noHead = false) => {
    const values = new Map<string, number[]>();
    const loaded = loadCheckpoint({ path, transfer, noHead }, model(), (name, data) => {
      values.set(name, Array.from(data));
    });
    return { ...loaded, values };
  };

  test('a whole checkpoint', async () => {
    const path = await new Checkpointer(folder).save('model_final', parts(5));
    const { values, optimizer, scheduler, iteration } = load(path);
    expect(values.get('backbone.w')).toEqual([1, 2]);
    expect((optimizer as Map<string, PyValue>).get('param_groups')).toEqual([new Map([['lr', 1]])]);
    expect(scheduler).toEqual(new Map([['last_epoch', 5]]));
    expect(iteration).toBe(5);
  });

  test('iteration 0 is one too', async () => {
    expect(load(await new Checkpointer(folder).save('first', parts(0))).iteration).toBe(0);
  });

  test('weights only', async () => {
    const path = await new Checkpointer(folder).save('model_final', parts(5));
    const { report, optimizer, scheduler, iteration } = load(path, true, true);
    expect([...report.loaded.keys()]).toEqual(['backbone.w']);
    expect(report.skipped).toEqual(['stm_head.criterion.empty_weight']);
    expect([optimizer, scheduler, iteration]).toEqual([null, null, null]);
  });

  test('a plain state dict has no other parts, whatever its keys', async () => {
    const path = join(folder, 'plain.pth');
    await writePth(
      path,
      new Map<PyValue, PyValue>([...model(), ['iteration', float32Tensor([], Float32Array.of(3))]]),
    );
    const { report, iteration } = load(path);
    expect(report.loaded.size).toBe(2);
    expect(iteration).toBeNull();
  });

  test('safetensors, whatever it is called', () => {
    const path = join(folder, 'weights.pth');
    const header = JSON.stringify({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const data = Buffer.from(Float32Array.of(3, 4).buffer);
    writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]));
    expect(load(path).values).toEqual(new Map([['backbone.w', [3, 4]]]));
    const tensor = (readWeightFile(path) as Map<string, HostTensor>).get('w')!;
    expect(Array.from(toFloat32(tensor))).toEqual([3, 4]);
  });

  test('an iteration that is none', async () => {
    const path = join(folder, 'odd.pth');
    await writePth(path, { model: model(), iteration: 'seven' });
    expect(() => load(path)).toThrow(/its iteration is seven/);
  });
});

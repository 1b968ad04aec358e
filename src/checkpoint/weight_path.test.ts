/** @file Tests of paths that stand for a weight file: the folder of a run, its `last_checkpoint`, other folders. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { CheckpointError } from '../errors.js';
import { float32Tensor } from '../formats/host_tensor.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { Checkpointer } from './checkpointer.js';
import { findWeights } from './weight_path.js';

const { at, file } = temporaryFiles();
const model = new Map([['w', float32Tensor([1], Float32Array.of(1))]]);
const parts = (iteration: number) => ({ model, optimizer: {}, scheduler: {}, iteration });

/** A run with checkpoints after 2 and 4 iterations, of which the first is the best. */
async function run(): Promise<string> {
  mkdirSync(at('run'));
  const checkpointer = new Checkpointer(at('run'), { freeMemory: () => 0 });
  await checkpointer.alias(await checkpointer.save('model_0000002', parts(2)), 'model_best');
  await checkpointer.save('model_0000004', parts(4));
  return at('run');
}

describe('a run folder', () => {
  it('stands for its best checkpoint, or for the last one to continue', async () => {
    const folder = await run();
    expect(findWeights(folder, 'best')).toEqual({
      path: join(folder, 'model_best.pth'),
      note: `${folder} is the folder of a run: taking ${join(folder, 'model_best.pth')}, its best checkpoint`,
    });
    expect(findWeights(`${folder}/`, 'last').path).toBe(join(folder, 'model_0000004.pth'));
    rmSync(join(folder, 'model_best.pth'));
    expect(findWeights(folder, 'best')).toMatchObject({
      path: join(folder, 'model_0000004.pth'),
      note: expect.stringMatching(/, its last checkpoint$/),
    });
  });

  it('needs no valid last_checkpoint', async () => {
    const folder = await run();
    for (const spoil of [
      () => writeFileSync(join(folder, 'last_checkpoint'), 'gone'),
      () => rmSync(join(folder, 'last_checkpoint')),
    ]) {
      spoil();
      expect(findWeights(folder, 'last').path).toBe(join(folder, 'model_0000004.pth'));
    }
  });

  it('warns if its last_checkpoint leads out of it', async () => {
    const folder = await run();
    mkdirSync(at('other'));
    writeFileSync(at('other', 'last_checkpoint'), join(folder, 'model_0000002.pth'));
    expect(findWeights(at('other'), 'best')).toMatchObject({
      path: join(folder, 'model_0000002.pth'),
      warning: expect.stringMatching(
        /other\/last_checkpoint names .*run\/model_0000002\.pth, which lies outside/,
      ),
    });
  });

  it('may be named by its last_checkpoint', async () => {
    const pointer = join(await run(), 'last_checkpoint');
    expect(findWeights(pointer, 'best')).toEqual({
      path: at('run', 'model_0000004.pth'),
      note: `${pointer} names a checkpoint: taking ${at('run', 'model_0000004.pth')}`,
    });
  });
});

describe('a folder that is no run', () => {
  it('is an error that names the weight files in it', async () => {
    await writePth(at('model_final.pth'), { model });
    file('model.safetensors', '');
    file('notes.txt', '');
    const find = () => findWeights(at(), 'best');
    expect(find).toThrow(CheckpointError);
    expect(find).toThrow(
      `${at()}: is a folder, not a weight file, and holds no run. Name one of the weight files in it: model.safetensors, model_final.pth`,
    );
  });

  it('is an error that says it has no weight files', () => {
    expect(() => findWeights(at(), 'last')).toThrow(/holds no run\. No weight file \(.*\) lies in it/);
  });
});

describe('a file as the weight path', () => {
  it('stands for itself', () => {
    expect(findWeights(file('w.pth', ''), 'best')).toEqual({ path: at('w.pth') });
  });

  it('is named at its new path after --overwrite moved it', () => {
    mkdirSync(at('previous_run_1'));
    file('previous_run_1/model_final.pth', '');
    expect(() => findWeights(at('model_final.pth'), 'best')).toThrow(
      `no such file; a run was moved aside there, and with it ${at('previous_run_1', 'model_final.pth')}`,
    );
    expect(() => findWeights(at('none.pth'), 'best')).toThrow(/none\.pth: no such file$/);
  });
});

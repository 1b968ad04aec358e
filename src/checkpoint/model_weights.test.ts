/** @file Loading all weights of a model, and what is said where that cannot be done. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { CheckpointError } from '../errors.js';
import { float32Tensor } from '../formats/host_tensor.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { normal } from '../nn/init.js';
import { initializeParameters, Module, Parameter } from '../nn/module.js';
import { loadModelWeights } from './model_weights.js';

class Pair extends Module {
  readonly first = new Parameter([2], normal);
  readonly second = new Parameter([1], normal);
}

let folder: string;
let whole: string;

beforeAll(async () => {
  folder = temporaryFolderOfFile();
  whole = join(folder, 'whole.pth');
  const model = new Map([
    ['first', float32Tensor([2], Float32Array.of(1, 2))],
    ['second', float32Tensor([1], Float32Array.of(3))],
    ['stm_head.criterion.empty_weight', float32Tensor([2], Float32Array.of(1, 0.1))],
  ]);
  await writePth(whole, { model, iteration: 12 });
  await writePth(join(folder, 'half.pth'), { model: new Map([...model].slice(0, 1)) });
});

describe('loadModelWeights', () => {
  it('loads a file, or the last checkpoint of a folder', () => {
    const model = new Pair();
    expect(loadModelWeights(model, whole, folder)).toEqual({
      path: whole,
      iteration: 12,
      info: null,
      warnings: [],
    });
    expect(Array.from(model.first.value.dataSync())).toEqual([1, 2]);
    expect(Array.from(model.second.value.dataSync())).toEqual([3]);

    writeFileSync(join(folder, 'last_checkpoint'), whole);
    const again = new Pair();
    initializeParameters(again, 1);
    expect(loadModelWeights(again, '', folder).path).toBe(whole);
    expect(Array.from(again.first.value.dataSync())).toEqual([1, 2]);
  });

  it('refuses a file with some or none of the weights', () => {
    const fail = (weight: string, outputDir = folder) => {
      try {
        loadModelWeights(new Pair(), weight, outputDir);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
        return (error as Error).message;
      }
      return 'no error';
    };
    expect(fail(join(folder, 'half.pth'))).toMatch(/half\.pth: lacks 1 of the model's 2 weights \(second\)/);
    expect(fail(join(folder, 'none.pth'))).toMatch(/^MODEL\.WEIGHT: .*none\.pth: no such file/);
    expect(fail('', join(folder, 'nowhere'))).toMatch(
      /^MODEL\.WEIGHT is empty and .*nowhere has no last_checkpoint/,
    );
    writeFileSync(join(folder, 'broken.pth'), 'PK');
    expect(fail(join(folder, 'broken.pth'))).toMatch(/broken\.pth/);
  });
});

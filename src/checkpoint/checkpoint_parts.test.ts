/** @file Tests of loading the parts of a checkpoint. */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { saveCheckpoint } from '../../test/support/save_checkpoint.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { float32Tensor, type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { PyFloat, type PyValue } from '../formats/python/values.js';
import { readWeightFile } from '../formats/weight_file.js';
import { loadCheckpoint } from './checkpoint_parts.js';

const { at } = temporaryFiles();

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

describe('loadCheckpoint', () => {
  const load = (path: string, transfer = false, noHead = false) => {
    const values = new Map<string, number[]>();
    const loaded = loadCheckpoint({ path, transfer, noHead }, model(), (name, data) => {
      values.set(name, Array.from(data));
    });
    return { ...loaded, values };
  };

  it('returns weights, optimizer, schedule and iteration of a whole checkpoint', async () => {
    const path = await saveCheckpoint(at(), 'model_final', parts(5));
    const { values, optimizer, scheduler, iteration } = load(path);
    expect(values.get('backbone.w')).toEqual([1, 2]);
    expect((optimizer as Map<string, PyValue>).get('param_groups')).toEqual([new Map([['lr', 1]])]);
    expect(scheduler).toEqual(new Map([['last_epoch', 5]]));
    expect(iteration).toBe(5);
  });

  it('accepts iteration 0', async () => {
    expect(load(await saveCheckpoint(at(), 'first', parts(0))).iteration).toBe(0);
  });

  it('loads only the weights, without the head, on request', async () => {
    const path = await saveCheckpoint(at(), 'model_final', parts(5));
    const { report, optimizer, scheduler, iteration } = load(path, true, true);
    expect([...report.loaded.keys()]).toEqual(['backbone.w']);
    expect(report.skipped).toEqual(['stm_head.criterion.empty_weight']);
    expect([optimizer, scheduler, iteration]).toEqual([null, null, null]);
  });

  it('finds no other parts in a plain state dict, whatever its keys', async () => {
    const path = at('plain.pth');
    await writePth(
      path,
      new Map<PyValue, PyValue>([...model(), ['iteration', float32Tensor([], Float32Array.of(3))]]),
    );
    const { report, iteration } = load(path);
    expect(report.loaded.size).toBe(2);
    expect(iteration).toBeNull();
  });

  it('reads safetensors under any extension', () => {
    const path = at('weights.pth');
    const header = JSON.stringify({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const data = Buffer.from(Float32Array.of(3, 4).buffer);
    writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]));
    expect(load(path).values).toEqual(new Map([['backbone.w', [3, 4]]]));
    const tensor = (readWeightFile(path) as Map<string, HostTensor>).get('w')!;
    expect(Array.from(toFloat32(tensor))).toEqual([3, 4]);
  });

  it('refuses an iteration that is not a number', async () => {
    const path = at('odd.pth');
    await writePth(path, { model: model(), iteration: 'seven' });
    expect(() => load(path)).toThrow(/its iteration is seven/);
  });
});

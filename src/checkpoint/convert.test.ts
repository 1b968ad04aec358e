/** @file Tests of converting weight files: formats, precision, what is left out, and what never happens to the input. */
import { existsSync, linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { plain } from '../../test/support/checkpoint_files.js';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { summaryOf, warningOf } from '../cli/convert.js';
import { ConfigError } from '../errors.js';
import { float32Tensor, type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { readPth } from '../formats/pth/pth_reader.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { type PyDict, PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import { openSafetensors, readSafetensors } from '../formats/safetensors/safetensors_reader.js';
import { readWeightFile, verifyWeightFile } from '../formats/weight_file.js';
import { type ConvertOptions, convertWeightFile } from './convert.js';
import { findStateDict } from './state_dict.js';

const GOLDEN = fileURLToPath(new URL('../../test/golden/data/checkpoints/', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

const at = (name: string) => join(folder, name);
const convert = (from: string, to: string, options: Partial<ConvertOptions> = {}) =>
  convertWeightFile(from, to, { dtype: 'keep', weightsOnly: false, ...options });
const stateOf = (path: string) => plain(new Map(findStateDict(path, readPth(path)).state) as PyDict);

const steps: HostTensor = {
  dtype: 'int64',
  shape: [],
  bytes: () => new Uint8Array(BigInt64Array.of(2n ** 40n + 1n).buffer),
};
const weight = float32Tensor([3], Float32Array.of(1 + 2 ** -12, -70000, 0.1));
const content = (): Record<string, PyValue> => ({
  model: { w: weight, 'bn.steps': steps, tied: weight },
  optimizer: {
    state: new Map<PyValue, PyValue>([[0, { step: new PyFloat(3), exp_avg: weight }]]),
    param_groups: [{ lr: new PyFloat(1), betas: new PyTuple([0.5, new PyFloat(0)]), params: [0] }],
  },
  scheduler: { last_epoch: 3 },
  iteration: 3,
});

async function checkpoint(name = 'whole.pth'): Promise<string> {
  await writePth(at(name), content());
  return at(name);
}

describe('converting between formats', () => {
  test('keeps weights and names from .pth to .safetensors and back', async () => {
    for (const name of [
      'a_model_0000002.pth',
      'b_vmaev2.pth',
      'c_legacy.pth',
      'd_half_bf16.pth',
      'f_storages.pth',
    ]) {
      const report = await convert(join(GOLDEN, name), at('there.safetensors'));
      verifyWeightFile(at('there.safetensors'));
      await convert(at('there.safetensors'), at('back.pth'));
      const original = findStateDict(name, readPth(join(GOLDEN, name))).state;
      const back = (readPth(at('back.pth')) as PyDict).get('model') as PyDict;
      expect(report.tensors, name).toBe(back.size);
      for (const [key, tensor] of original) {
        if (tensor) expect(plain(back.get(key)!), `${name}: ${key}`).toEqual(plain(tensor));
      }
    }
  });

  test('names what .safetensors cannot hold', async () => {
    const { leftOut } = await convert(await checkpoint(), at('x.safetensors'));
    expect(leftOut).toEqual(['optimizer', 'scheduler', 'iteration']);
    const raw = at('raw.pth');
    await writePth(raw, { w: weight, note: 'hello' });
    expect((await convert(raw, at('x.safetensors'))).leftOut).toEqual(['note']);
    expect([...readSafetensors(at('x.safetensors')).keys()]).toEqual(['w']);
  });

  test('keeps everything from .pth to .pth, including floats that are whole', async () => {
    const report = await convert(await checkpoint(), at('copy.pth'));
    expect(report.leftOut).toEqual([]);
    expect(readFileSync(at('copy.pth')).equals(readFileSync(at('whole.pth')))).toBe(true);
    await writePth(at('raw.pth'), { w: weight, note: 'hello' });
    await convert(at('raw.pth'), at('copy.pth'));
    expect(readFileSync(at('copy.pth')).equals(readFileSync(at('raw.pth')))).toBe(true);
  });

  test('leaves out and names objects of classes that we cannot write', async () => {
    const { leftOut } = await convert(join(GOLDEN, 'a_model_0000002.pth'), at('x.pth'));
    expect(leftOut).toEqual([expect.stringMatching(/^person_pool \(an object of class .*\.MemoryPool\)$/)]);
    const [before, after] = [readPth(join(GOLDEN, 'a_model_0000002.pth')), readPth(at('x.pth'))] as PyDict[];
    before.delete('person_pool');
    expect(plain(after)).toEqual(plain(before));
  });

  test('keeps only the model with --weights-only', async () => {
    const { leftOut } = await convert(await checkpoint(), at('x.pth'), { weightsOnly: true });
    expect(leftOut).toEqual(['optimizer', 'scheduler', 'iteration']);
    expect([...(readPth(at('x.pth')) as PyDict).keys()]).toEqual(['model']);
    await convert(join(GOLDEN, 'b_vmaev2.pth'), at('y.pth'), { weightsOnly: true });
    expect([...(readPth(at('y.pth')) as PyDict).keys()]).toEqual(['model']);
    expect(stateOf(at('y.pth'))).toEqual(stateOf(join(GOLDEN, 'b_vmaev2.pth')));
  });
});

describe('converting the precision', () => {
  test("changes the model's floats only, and keeps shared tensors shared", async () => {
    const report = await convert(await checkpoint(), at('half.pth'), { dtype: 'bfloat16' });
    expect(report.weightBytes).toEqual({ before: 32, after: 20 });
    const half = readPth(at('half.pth')) as PyDict;
    const model = half.get('model') as Map<string, HostTensor>;
    expect(model.get('w')!.dtype).toBe('bfloat16');
    expect(model.get('tied')).toBe(model.get('w'));
    expect(Array.from(toFloat32(model.get('w')!))).toEqual([1, -70144, 0.10009765625]);
    expect(plain(model.get('bn.steps')!)).toEqual(plain(steps));
    const whole = readPth(at('whole.pth')) as PyDict;
    expect(plain(half.get('optimizer')!)).toEqual(plain(whole.get('optimizer')!));
  });

  test('names tensors with numbers beyond float16', async () => {
    for (const out of ['half.pth', 'half.safetensors']) {
      const report = await convert(await checkpoint(), at(out), { dtype: 'float16' });
      expect(report.overflowed).toEqual(['w', 'tied']);
      expect(warningOf(report)).toMatch(/^warning: .* became infinite in w, tied$/);
    }
    expect(Array.from(toFloat32(readSafetensors(at('half.safetensors')).get('w')!))).toEqual([
      1,
      -Infinity,
      0.0999755859375,
    ]);
    expect(warningOf(await convert(at('whole.pth'), at('x.pth'), { dtype: 'float32' }))).toBeNull();
  });

  test('keeps half precision exactly through float32 and back', async () => {
    const from = join(GOLDEN, 'd_half_bf16.pth');
    await convert(from, at('float.safetensors'), { dtype: 'float32' });
    const floats = openSafetensors(at('float.safetensors')).tensors;
    for (const [key, tensor] of findStateDict(from, readPth(from)).state) {
      if (tensor) expect(toFloat32(floats.get(key)!)).toEqual(toFloat32(tensor));
    }
  });

  test('reports the sizes', async () => {
    const report = await convert(await checkpoint(), at('half.safetensors'), { dtype: 'float16' });
    expect(summaryOf('a', 'b', report)).toMatch(
      /^a → b\n +tensors: +3, 32 B → 20 B\n +file: +[\d.]+ KiB → \d+ B\n +left out: +optimizer, scheduler, iteration$/,
    );
  });
});

describe('converting the names', () => {
  const part = (value: number) => float32Tensor([2, 2], Float32Array.of(value, 2, 3, 4));
  const bias = float32Tensor([2], Float32Array.of(1, -1));
  const start = 'videomae.encoder.layer.0.attention.attention';
  const theirs = () => ({
    [`${start}.query.weight`]: part(1),
    [`${start}.key.weight`]: part(5),
    [`${start}.value.weight`]: part(9),
    [`${start}.query.bias`]: bias,
    [`${start}.key.bias`]: bias,
    [`${start}.value.bias`]: bias,
    'classifier.weight': bias,
  });

  test.each(['pth', 'safetensors'])(
    'writes the official ones as .%s, with joined tensors',
    async (ending) => {
      await writePth(at('theirs.bin'), { state_dict: theirs(), epoch: 3 });
      const report = await convert(at('theirs.bin'), at(`ours.${ending}`), { names: 'official' });
      const { state } = findStateDict('', readWeightFile(at(`ours.${ending}`)));
      expect(
        Object.fromEntries(Array.from(state, ([name, tensor]) => [name, tensor && [...toFloat32(tensor)]])),
      ).toEqual({
        'classifier.weight': [1, -1],
        'backbone.blocks.0.attn.qkv.weight': [1, 2, 3, 4, 5, 2, 3, 4, 9, 2, 3, 4],
        'backbone.blocks.0.attn.q_bias': [1, -1],
        'backbone.blocks.0.attn.v_bias': [1, -1],
      });
      expect(report).toMatchObject({
        leftOut: ['epoch'],
        origin: 'names of Hugging Face transformers, with the prefix "videomae.", which is ignored',
        warnings: [
          expect.stringMatching(
            /^this model has no biases for the keys .* \(up to 1\.00, in videomae\..*key\.bias\)/,
          ),
        ],
      });
      expect(summaryOf('a', 'b', report)).toMatch(
        /^ {2}names: +changed to the official ones; the file has names of Hugging Face/m,
      );
    },
  );

  test('keeps them by default, and takes the chosen weights of a file that holds several', async () => {
    await writePth(at('two.pth'), { student: { w: weight }, teacher: { w: bias }, epoch: 3 });
    await expect(convert(at('two.pth'), at('x.pth'))).rejects.toThrow(/with --weight-key student/);
    const { origin } = await convert(at('two.pth'), at('x.safetensors'), { weightKey: 'teacher' });
    expect(origin).toBeNull();
    expect([...toFloat32(readSafetensors(at('x.safetensors')).get('w')!)]).toEqual([1, -1]);
    await convert(at('two.pth'), at('x.pth'), { weightKey: 'teacher', dtype: 'float16' });
    const copy = readPth(at('x.pth')) as PyDict;
    expect([...copy.keys()]).toEqual(['student', 'teacher', 'epoch']);
    const dtypes = ['student', 'teacher'].map(
      (key) => ((copy.get(key) as PyDict).get('w') as HostTensor).dtype,
    );
    expect(dtypes).toEqual(['float32', 'float16']);
  });
});

describe('a conversion is refused', () => {
  test('if the output is the input file, under any name', async () => {
    const path = await checkpoint('self.pth');
    const before = readFileSync(path);
    symlinkSync(path, at('link.pth'));
    linkSync(path, at('hard.safetensors'));
    for (const to of [path, at('link.pth'), at('hard.safetensors'), `${folder}/./self.pth`]) {
      await expect(convert(path, to)).rejects.toThrow(
        /is the file to convert itself; give the new file another/,
      );
      await expect(convert(path, to)).rejects.toThrow(ConfigError);
    }
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('for other extensions, missing and damaged files, and leaves nothing behind', async () => {
    const path = await checkpoint();
    const names = () => readdirSync(folder).sort();
    const before = names();
    for (const to of ['x.bin', 'x', '.pth/x', 'x.safetensors.gz']) {
      await expect(convert(path, at(to))).rejects.toThrow(/has to end in \.pth, \.pt or \.safetensors/);
    }
    await expect(convert(at('none.pth'), at('new.pth'))).rejects.toThrow(
      /none\.pth: cannot be read: no such file/,
    );
    await expect(convert(path, `${path}/new.pth`)).rejects.toThrow(/^<out>: .*is a file, not a folder/);
    expect(names()).toEqual(before);

    const bytes = readFileSync(path);
    bytes[bytes.indexOf(weight.bytes())] ^= 1;
    writeFileSync(at('broken.pth'), bytes);
    writeFileSync(at('old.safetensors'), 'as it was');
    for (const to of ['new.pth', 'new.safetensors', 'old.safetensors']) {
      await expect(convert(at('broken.pth'), at(to))).rejects.toThrow(/broken\.pth: damaged/);
    }
    expect(existsSync(at('new.pth'))).toBe(false);
    expect(readFileSync(at('old.safetensors'), 'utf8')).toBe('as it was');
    expect(names().filter((name) => name.includes('.tmp-'))).toEqual([]);
  });

  test('if the file has no weights', async () => {
    await writePth(at('none.pth'), { iteration: 3 });
    await expect(convert(at('none.pth'), at('x.pth'))).rejects.toThrow(
      /holds no weights; its keys are: iteration/,
    );
  });
});

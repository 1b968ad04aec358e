/** @file Tests of `inspect checkpoint` and of the command line of `convert`, in this process. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  mmactionName,
  modelTensors,
  only,
  renamed,
  type StateDict,
  withFusedBias,
} from '../../test/support/model_tensors.js';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { MODEL_INFO, packModelInfo } from '../checkpoint/model_info.js';
import { float32Tensor, type HostTensor } from '../formats/host_tensor.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { bytesOf } from '../util/bytes.js';
import { inspectCheckpoint } from './inspect_checkpoint.js';
import { main } from './main.js';

const GOLDEN = fileURLToPath(new URL('../../test/golden/data/checkpoints/', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});
afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

/** Runs the command line; what it wrote, and the exit code. */
async function stmixer(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  const texts = { out: '', err: '' };
  const collect = (stream: NodeJS.WriteStream, name: 'out' | 'err') =>
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      texts[name] += text;
      return true;
    });
  collect(process.stdout, 'out');
  collect(process.stderr, 'err');
  await main(['node', 'stmixer', ...args]);
  vi.restoreAllMocks();
  return { ...texts, code: Number(process.exitCode ?? 0) };
}

const json = (path: string) => JSON.parse(inspectCheckpoint(path, true).text);
const tensorOf = (dtype: HostTensor['dtype'], data: ArrayBufferView, shape: number[]): HostTensor => ({
  dtype,
  shape,
  bytes: () => bytesOf(data),
});

describe('inspectCheckpoint', () => {
  test('describes a checkpoint of a run that PyTorch wrote', () => {
    const path = join(GOLDEN, 'a_model_0000002.pth');
    const facts = JSON.parse(readFileSync(join(GOLDEN, 'expected.json'), 'utf8')).files[
      'a_model_0000002.pth'
    ];
    const description = json(path);
    expect(description).toMatchObject({
      format: 'pth',
      bytes: readFileSync(path).length,
      weightsKey: 'model',
      iteration: 2,
      optimizer: { method: 'Adam or AdamW', groups: 3, states: 100 },
      scheduler: { schedule: 'WarmupMultiStepLR', position: 2 },
      others: { person_pool: expect.stringMatching(/^an object of class .*MemoryPool$/) },
      checksums: { unchecked: 0, damaged: [] },
    });
    expect(description.tensors.length).toBe(101);
    for (const { name, dtype, shape, sum, nan, damaged } of description.tensors) {
      const expected = facts.model[name];
      expect([dtype, shape, nan, damaged], name).toEqual([expected.dtype, expected.shape, 0, false]);
      expect(Math.abs(sum - expected.sum)).toBeLessThanOrEqual(1e-12 * expected.abssum);
    }
  });

  test('describes numbers of every kind, and counts NaN and infinities', async () => {
    const path = join(folder, 'numbers.pth');
    const weights = {
      floats: float32Tensor([6], Float32Array.of(-1, 2.5, Number.NaN, Infinity, -Infinity, Number.NaN)),
      half: tensorOf('float16', Uint16Array.of(0x3c00, 0xc000), [2]),
      long: tensorOf('int64', BigInt64Array.of(-5n, 2n ** 40n), [2]),
      flags: tensorOf('bool', Uint8Array.of(1, 0, 1), [3]),
      nothing: float32Tensor([0, 3], new Float32Array(0)),
      'no tensor': 3,
    };
    await writePth(path, { state_dict: weights, stmixer: { version: '1', seed: 7 }, list: [1, 2] });
    const { tensors, noTensors, others, weightsKey, elements } = json(path);
    const figures = Object.fromEntries(
      tensors.map((t: Record<string, unknown>) => [t.name, [t.sum, t.min, t.max, t.nan, t.infinite]]),
    );
    expect(figures).toEqual({
      floats: [1.5, -1, 2.5, 2, 2],
      half: [-1, -2, 1, 0, 0],
      long: [2 ** 40 - 5, -5, 2 ** 40, 0, 0],
      flags: [2, 0, 1, 0, 0],
      nothing: [null, null, null, 0, 0],
    });
    expect({ noTensors, others, weightsKey, elements }).toEqual({
      noTensors: ['no tensor'],
      others: { stmixer: '{version: "1", seed: 7}', list: 'a list of 2' },
      weightsKey: 'state_dict',
      elements: 13,
    });
    expect(inspectCheckpoint(path, false).text).toMatch(
      /^floats +float32 +\[6\] +1\.5 +-1 +2\.5 +2 NaN, 2 infinite$/m,
    );
  });

  test('reports which names loading accepts', () => {
    expect(json(join(GOLDEN, 'e_ddp_prefix.pth')).loading[0]).toMatch(
      /the prefix "module\." of every name is ignored/,
    );
    expect(json(join(GOLDEN, 'b_vmaev2.pth')).loading).toEqual([expect.stringMatching(/only a backbone/)]);
    expect(json(join(GOLDEN, 'model_weights.safetensors'))).toMatchObject({
      format: 'safetensors',
      weightsKey: null,
      loading: [
        expect.stringMatching(/of the backbone/),
        expect.stringMatching(/of the head, which --no-head/),
      ],
    });
    expect(json(join(GOLDEN, 'c_legacy.pth')).format).toBe('legacy pth');
  });

  test('counts the tensors that have names of the model, group by group', async () => {
    const describe = async (name: string, state: StateDict) => {
      const path = join(folder, name);
      await writePth(path, { model: state });
      return { ...json(path), text: inspectCheckpoint(path, false).text };
    };
    const whole = modelTensors();
    const backbone = only(whole, /^backbone\./);

    const theirs = await describe('for theirs.pth', renamed(backbone, mmactionName));
    expect(theirs.origin).toBe('names of OpenMMLab (mmaction2, mmpretrain)');
    expect(theirs.groups).toEqual([{ group: 'backbone', tensors: 30, known: 30, unknown: [] }]);

    const strange = (name: string) => name.replace('mlp.fc1', 'mlp.lin1');
    const { text: unknownText, ...unknown } = await describe('for strange.pth', renamed(backbone, strange));
    const lin1 = ['weight', 'bias'].map((end) => `backbone.blocks.N.mlp.lin1.${end}`);
    expect(unknown.groups).toEqual([{ group: 'backbone', tensors: 30, known: 26, unknown: lin1 }]);
    expect(unknownText).toMatch(/^loading: +backbone: 26 of the file's 30 tensors have names of the model$/m);
    expect(unknownText).toContain(
      `backbone: 4 have names that the model does not have: ${lin1.join(', ')}\n`,
    );

    const bare = renamed(withFusedBias(backbone), (name) => name.replace('backbone.', ''));
    expect(await describe('for bare.pth', bare)).toMatchObject({
      origin: 'names of timm',
      loading: [
        'only a backbone: its tensors load into backbone.*',
        'left out: 2 key biases, which the model does not have',
      ],
    });

    const mixed = renamed(whole, (name) => name.replace('lateral_convs', 'fpn').replace('fc_reg', 'reg'));
    const { groups, otherNames, text } = await describe('for mixed.pth', mixed);
    expect(groups.map(({ group, known }: { group: string; known: number }) => [group, known])).toEqual([
      ['backbone', 30],
      ['head', 112],
    ]);
    expect(otherNames).toContain('fpn.N.0.weight');
    expect(text).toMatch(/^other names: fpn\.N\.0\.weight, .*, which are no names of stmixer's models$/m);
  });

  test('names the sets of weights in a file, and what it says about its model', async () => {
    const path = join(folder, 'several.pth');
    const backbone = only(modelTensors(), /^backbone\./);
    await writePth(path, { student: backbone, teacher: new Map([...backbone].slice(1)), epoch: 3 });
    expect(json(path)).toMatchObject({
      weightsKey: 'student',
      needsKey: true,
      candidates: [
        { key: 'student', tensors: 30 },
        { key: 'teacher', tensors: 29 },
      ],
    });
    expect(inspectCheckpoint(path, false).text).toMatch(
      /under "student"\ncandidates: student \(30 tensors\), teacher \(29 tensors\)\nchoose: +with MODEL\.WEIGHT_KEY/,
    );
    const info = { settings: new Map([['ViT.DEPTH', 2]]), classNames: new Map([[1, 'bend']]) };
    await writePth(path, { model: backbone, [MODEL_INFO]: packModelInfo(info) });
    expect(json(path).info).toEqual({ settings: { 'ViT.DEPTH': 2 }, classNames: { 1: 'bend' } });
    expect(inspectCheckpoint(path, false).text).toMatch(/^classes: +1 \(bend\)\nsettings: +1, so that/m);
  });

  test('keeps names in the file from controlling the terminal', async () => {
    const path = join(folder, 'names.pth');
    await writePth(path, { 'a\x1b[2J\u202eb': float32Tensor([1], Float32Array.of(1)) });
    expect(inspectCheckpoint(path, false).text).toContain('a\\x1b[2J\\u{202e}b');
  });
});

test('prints a table, names damaged tensors with exit code 4, and refuses files that are not weights', async () => {
  const path = join(folder, 'damaged.pth');
  const tensor = (value: number) => float32Tensor([2], Float32Array.of(value, value));
  await writePth(path, {
    model: { good: tensor(3), bad: tensor(5) },
    optimizer: { state: { 0: tensor(9) }, param_groups: [] },
  });
  const sound = await stmixer('inspect', 'checkpoint', path);
  expect(sound).toMatchObject({ code: 0, err: '' });
  expect(sound.out).toMatch(/^bad +float32 +\[2\] +10 +5 +5$/m);
  expect(sound.out).toMatch(/^checksums: +7 good, 0 wrong$/m);

  const bytes = readFileSync(path);
  for (const value of [5, 9]) bytes[bytes.indexOf(tensor(value).bytes())] ^= 1;
  writeFileSync(path, bytes);
  const { out, err, code } = await stmixer('inspect', 'checkpoint', path);
  expect(code).toBe(4);
  expect(out).toMatch(/^good +float32 +\[2\] +6 +3 +3$/m);
  expect(out).toMatch(/^bad +float32 +\[2\] +– +– +– +DAMAGED$/m);
  expect(out).toMatch(/^DAMAGED: +model\.bad, optimizer\.state\.0$/m);
  expect(err).toBe(`stmixer: ${path}: damaged: not what its checksum says: model.bad, optimizer.state.0\n`);

  writeFileSync(path, 'hello');
  expect((await stmixer('inspect', 'checkpoint', path, '--json')).code).toBe(4);
});

test('prints a summary, a warning and readable errors for convert', async () => {
  const from = join(folder, 'large.pth');
  await writePth(from, { model: { w: float32Tensor([2], Float32Array.of(1, 1e6)) }, iteration: 3 });
  const to = join(folder, 'half.safetensors');
  const done = await stmixer('convert', from, to, '--dtype', 'float16');
  expect(done.code).toBe(0);
  expect(done.out).toContain(`${from} → ${to}\n  tensors:   1, 8 B → 4 B\n`);
  expect(done.err).toMatch(/^warning: .*infinite in w$/m);
  expect(json(to).tensors).toEqual([
    expect.objectContaining({ name: 'w', dtype: 'float16', sum: 1, infinite: 1 }),
  ]);
  expect(await stmixer('convert', from, from)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/convert itself/),
  });
  expect((await stmixer('convert', from, to, '--dtype', 'int8')).code).toBe(2);
});

test('does not load the tensor library, and neither does convert', async () => {
  const { metafile } = await build({
    entryPoints: ['inspect_checkpoint.ts', '../checkpoint/convert.ts'].map((name) =>
      fileURLToPath(new URL(name, import.meta.url)),
    ),
    bundle: true,
    write: false,
    metafile: true,
    outdir: folder,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  expect(imports.filter((path) => !path.startsWith('node:'))).toEqual([]);
});

/** @file Tests of reading and writing .pth files: round trips, what others write, and files that are none. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  bytesOf,
  errorOf,
  floats,
  pickleOf,
  plain,
  pthOf,
  tensorPickle,
  zipOf,
} from '../../../test/support/checkpoint_files.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import { DTYPE_BYTES, type DType, float32Tensor, type HostTensor, sizeOf } from '../host_tensor.js';
import { PyFloat, PyOpaque, PyTuple, type PyValue } from '../python/values.js';
import { readPth } from './pth_reader.js';
import { writePth } from './pth_writer.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

function fileWith(bytes: Uint8Array | string, name = 'x.pth'): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function roundTrip(value: PyValue): Promise<PyValue> {
  const path = join(folder, 'round.pth');
  await writePth(path, value);
  return readPth(path);
}

describe('a value that is written and read', () => {
  const tensor = fc
    .record({
      dtype: fc.constantFrom(...(Object.keys(DTYPE_BYTES) as DType[])),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
      seed: fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
    })
    .map(({ dtype, shape, seed }): HostTensor => {
      const bytes = Uint8Array.from({ length: sizeOf(shape) * DTYPE_BYTES[dtype] }, () => seed.next().value);
      return { dtype, shape, bytes: () => bytes };
    });
  const number = fc.oneof(
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.double().map((value) => new PyFloat(value)),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 2039n), max: 2n ** 2039n - 1n }),
  );
  const string = fc.string({ unit: 'binary' });
  const { value } = fc.letrec<{ value: PyValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(fc.constant(null), fc.boolean(), number, string, fc.uint8Array(), tensor),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.array(tie('value'), { maxLength: 5 }).map((items) => new PyTuple(items)),
      fc.dictionary(string, tie('value'), { maxKeys: 5, noNullPrototype: true }),
      fc
        .uniqueArray(fc.tuple(fc.oneof(string, fc.integer()), tie('value')), {
          selector: ([key]) => key,
          maxLength: 5,
        })
        .map((entries) => new Map<PyValue, PyValue>(entries)),
    ),
  }));

  test('returns unchanged, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(value, async (original) => {
        expect(plain(await roundTrip(original))).toEqual(plain(original));
      }),
      { numRuns: 200 },
    );
  });

  test('keeps whole numbers as ints or, with PyFloat, as floats, and large ones exact', async () => {
    const path = join(folder, 'numbers.pth');
    await writePth(path, [1, new PyFloat(1), -0, 2 ** 53, 2n ** 64n]);
    const file = readFileSync(path);
    expect(file.includes(pickleOf('K', [1], 'G', [0x3f, 0xf0, 0, 0, 0, 0, 0, 0]))).toBe(true);
    expect(readPth(path)).toEqual([1, 1, -0, 2 ** 53, 2n ** 64n]);
  });

  test('stores a tensor that occurs twice once, and returns one object', async () => {
    let asked = 0;
    const data = floats(1, 2);
    const shared: HostTensor = {
      dtype: 'float32',
      shape: [2],
      bytes: () => {
        asked++;
        return data;
      },
    };
    const [a, b] = (await roundTrip([shared, shared])) as PyValue[];
    expect(asked).toBe(1);
    expect(b).toBe(a);
    expect(bytesOf(a)).toEqual([1, 2]);
  });

  test('is asked for the bytes of its tensors in order, one at a time', async () => {
    const asked: number[] = [];
    const tensors = [0, 1, 2, 3].map((i) => ({
      dtype: 'float32' as const,
      shape: [1],
      bytes: () => {
        asked.push(i);
        return floats(i);
      },
    }));
    await roundTrip(tensors);
    expect(asked).toEqual([0, 1, 2, 3]);
  });

  test('has its tensor data aligned to 64 bytes', async () => {
    const path = join(folder, 'aligned.pth');
    const marker = (i: number) => Uint8Array.from({ length: 8 + i }, () => 0xa0 + i);
    const tensors = [0, 1, 2].map((i) => ({
      dtype: 'uint8' as const,
      shape: [8 + i],
      bytes: () => marker(i),
    }));
    await writePth(path, tensors);
    const file = readFileSync(path);
    for (const i of [0, 1, 2]) {
      expect(file.indexOf(marker(i))).toBeGreaterThan(0);
      expect(file.indexOf(marker(i)) % 64).toBe(0);
    }
  });

  test('makes equal files for equal values, under any name', async () => {
    const model = () => ({ w: float32Tensor([2], Float32Array.of(1, 2)), n: 1 });
    await writePth(join(folder, 'one.pth'), model());
    await writePth(join(folder, 'two.pth'), model());
    expect(readFileSync(join(folder, 'one.pth')).equals(readFileSync(join(folder, 'two.pth')))).toBe(true);
  });

  test('may have more entries than a zip without zip64 can have', async () => {
    const count = 70_000;
    const one = floats(1);
    const many = Array.from({ length: count }, () => ({
      dtype: 'float32' as const,
      shape: [],
      bytes: () => one,
    }));
    const read = (await roundTrip(many)) as HostTensor[];
    expect(read).toHaveLength(count);
    expect(bytesOf(read.at(-1)!)).toEqual([1]);
  });

  test.each<[string, PyValue, RegExp]>([
    ['an inert object', { a: [new PyOpaque('x.Y', [])] }, /the value\['a'\]\[0\] is an object of class x\.Y/],
    ['undefined', { a: undefined as unknown as null }, /\['a'\] is undefined/],
    ['an enormous integer', [2n ** 2039n], /\[0\] is an integer of 256 bytes/],
  ])('is refused, with its place, if it holds %s', async (_, value, message) => {
    const path = join(folder, 'refused.pth');
    await expect(writePth(path, value)).rejects.toThrow(message);
    await expect(writePth(path, value)).rejects.toThrow(CheckpointError);
    expect(existsSync(path)).toBe(false);
  });

  test('is refused if it contains itself or nests too deeply', async () => {
    const loop: PyValue[] = [];
    loop.push([loop]);
    await expect(roundTrip(loop)).rejects.toThrow(/contains itself/);
    let deep: PyValue = [];
    for (let i = 0; i < 1000; i++) deep = [deep];
    await expect(roundTrip(deep)).rejects.toThrow(/nest more than/);
  });

  test('has its repeated parts written once', async () => {
    let value: PyValue = ['leaf'];
    for (let i = 0; i < 100; i++) value = [value, value];
    expect(await roundTrip(value)).toHaveLength(2);
  });
});

describe('a tensor that is part of a storage', () => {
  const storage = floats(0, 1, 2, 3, 4, 5);
  const read = async (spec: Partial<Parameters<typeof tensorPickle>[0]>, data: Uint8Array = storage) =>
    readPth(
      fileWith(
        await pthOf(pickleOf([0x80, 2], tensorPickle({ length: 6, size: [6], stride: [1], ...spec }), '.'), {
          0: data,
        }),
      ),
    );

  test.each<[string, Parameters<typeof read>[0], number[]]>([
    ['the whole', {}, [0, 1, 2, 3, 4, 5]],
    ['a matrix', { size: [2, 3], stride: [3, 1] }, [0, 1, 2, 3, 4, 5]],
    ['its transpose', { size: [3, 2], stride: [1, 3] }, [0, 3, 1, 4, 2, 5]],
    ['a column', { size: [2], stride: [3], offset: 1 }, [1, 4]],
    ['three axes in another order', { size: [3, 1, 2], stride: [1, 7, 3] }, [0, 3, 1, 4, 2, 5]],
    ['every second one', { size: [2, 2], stride: [2, 1], offset: 1 }, [1, 2, 3, 4]],
    ['overlapping windows', { size: [3, 2], stride: [1, 1] }, [0, 1, 1, 2, 2, 3]],
    ['expanded', { size: [2, 2], stride: [0, 1], offset: 4 }, [4, 5, 4, 5]],
    ['a scalar', { size: [], stride: [], offset: 5 }, [5]],
    ['nothing', { size: [2, 0], stride: [1, 1], offset: 6 }, []],
  ])('has the right elements: %s', async (_, spec, expected) => {
    const tensor = (await read(spec)) as HostTensor;
    expect(tensor.shape).toEqual(spec?.size ?? [6]);
    expect(bytesOf(tensor)).toEqual(expected);
  });

  test.each<[string, Parameters<typeof read>[0], RegExp]>([
    ['more than the storage has', { size: [7] }, /reaches beyond/],
    ['beyond its end', { size: [1], offset: 6 }, /reaches beyond/],
    ['a far stride', { size: [2], stride: [1e15] }, /reaches beyond/],
    ['a shape of 2^60 elements', { size: [2 ** 50, 2 ** 50], stride: [0, 0] }, /would be .* bytes/],
    ['a shape of a terabyte in 24 bytes', { size: [2 ** 38], stride: [0] }, /would be .* bytes/],
    ['a negative size', { size: [-1] }, /no valid shape/],
    ['a negative stride', { stride: [-1] }, /no valid strides/],
    ['a negative offset', { offset: -1 }, /no valid offset/],
    ['fewer strides than axes', { size: [2, 3] }, /no valid strides/],
    ['a hundred axes', { size: new Array(100).fill(1), stride: new Array(100).fill(1) }, /no valid shape/],
    ['a storage without data', { key: 'x' }, /storage x are missing/],
    ['a storage longer than its data', { length: 7 }, /has 24 bytes instead of 28/],
    ['a negative length', { length: -1 }, /no storage/],
  ])('is refused if it has %s', async (_, spec, message) => {
    await expect(read(spec)).rejects.toThrow(message);
    await expect(read(spec)).rejects.toThrow(CheckpointError);
  });

  test('stays inert if its type is unsupported', async () => {
    const value = await read({ type: 'ComplexFloatStorage', length: 3, size: [3] });
    expect(value).toMatchObject({ className: 'torch._utils._rebuild_tensor_v2' });
    const unknown = await read({ type: 'FutureStorage', length: 3, size: [3] });
    expect(unknown).toBeInstanceOf(PyOpaque);
  });
});

describe('a file that is not a checkpoint', () => {
  test.each<[string, Uint8Array | string, RegExp]>([
    ['empty', '', /is empty/],
    ['a web page', '\n<!DOCTYPE html><html></html>', /web page/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0', /git lfs pull/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), /gzip/],
    ['tar', Buffer.concat([Buffer.alloc(257), Buffer.from('ustar')]), /tar archive/],
    ['HDF5', Uint8Array.of(0x89, 0x48, 0x44, 0x46), /HDF5/],
    ['safetensors', Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]), /safetensors/],
    ['text', 'hello', /first bytes/],
    ['one byte', Uint8Array.of(0x80), /ends in the middle/],
    ['another pickle', pickleOf([0x80, 2], 'N.'), /pickle, but not one that torch\.save/],
    ['two bytes of zip', 'PK', /first bytes/],
    ['the start of a zip', 'PK\x03\x04', /incomplete/],
  ])('is refused with an explanation if it is %s', (_, bytes, message) => {
    const path = fileWith(bytes);
    const error = errorOf(() => readPth(path));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(path);
  });

  test('is refused if it is missing, a folder or a device', () => {
    expect(() => readPth(join(folder, 'none.pth'))).toThrow(/none\.pth: cannot be read: no such file/);
    expect(() => readPth(join(fileWith('', 'file'), 'none.pth'))).toThrow(CheckpointError);
    expect(() => readPth(folder)).toThrow(/is a folder, not a file/);
    if (existsSync('/dev/zero')) expect(() => readPth('/dev/zero')).toThrow(/not a regular file/);
  });

  test('is refused if it is another zip archive', async () => {
    const pickle = pickleOf('N.');
    const cases: [Record<string, Uint8Array | string>, RegExp][] = [
      [{ 'a.txt': 'x' }, /no data\.pkl/],
      [{ 'model.pth': 'x', 'data.pkl': pickle }, /no data\.pkl/],
      [{ 'm/data.pkl': pickle, 'm/constants.pkl': pickle }, /TorchScript/],
      [{ 'm/data.pkl': pickle, 'm/byteorder': 'big' }, /big-endian/],
      [{ 'm/data.pkl': pickle, '../x': '' }, /no name for an entry/],
      [{ 'm/data.pkl': pickle, '/etc/x': '' }, /no name for an entry/],
    ];
    for (const [entries, message] of cases) {
      const path = fileWith(await zipOf(entries));
      expect(() => readPth(path)).toThrow(message);
      expect(() => readPth(path)).toThrow(CheckpointError);
    }
  });
});

/** @file Tests of reading and writing .pth files: round trips, what others write, files that are none, damaged ones. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  errorOf,
  int,
  pickleOf,
  plain,
  pthOf,
  tensorPickle,
  text,
  zipOf,
} from '../../../test/support/checkpoint_files.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import { replaceFile } from '../../files/atomic_file.js';
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

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const bytesOf = (value: PyValue) =>
  Array.from(new Float32Array((value as HostTensor).bytes().slice().buffer));

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

describe('replacing a file', () => {
  const leftovers = () => readdirSync(folder).filter((name) => name.includes('.tmp-'));

  test('leaves only the old file if writing fails', async () => {
    const path = join(folder, 'kept.pth');
    await writePth(path, 'old');
    const broken: HostTensor = {
      dtype: 'float32',
      shape: [1],
      bytes: () => {
        throw new Error('the tensor is gone');
      },
    };
    await expect(writePth(path, [broken])).rejects.toThrow('the tensor is gone');
    await expect(writePth(path, [{ ...broken, bytes: () => new Uint8Array(3) }])).rejects.toThrow(
      /has 3 bytes/,
    );
    expect(readPth(path)).toBe('old');
    expect(leftovers()).toEqual([]);
    await writePth(path, 'new');
    expect(readPth(path)).toBe('new');
  });

  test('replaces the temporary file of a killed run', async () => {
    const path = join(folder, 'again.pth');
    const names: string[] = [];
    const look = async (sink: { write(bytes: Uint8Array): Promise<void> }) => {
      names.push(...leftovers());
      await sink.write(Buffer.from('new'));
    };
    await replaceFile(path, look);
    const number = Number(names[0].split('-').at(-1));
    const next = `${path}.tmp-${process.pid}-${number + 1}`;
    writeFileSync(next, 'a leftover that is longer');
    await replaceFile(path, look);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(existsSync(next)).toBe(false);
  });

  test('leaves no temporary file in a folder that was missing for a while', async () => {
    const [here, away] = [join(folder, 'share'), join(folder, 'away')];
    mkdirSync(here);
    const path = join(here, 'saved.pth');
    const interrupted = replaceFile(path, async (sink) => {
      await sink.write(Buffer.from('half'));
      renameSync(here, away);
    });
    await expect(interrupted).rejects.toThrow(/share does not exist/);
    renameSync(away, here);
    await replaceFile(path, (sink) => sink.write(Buffer.from('whole')));
    expect(readdirSync(here)).toEqual(['saved.pth']);
    expect(readFileSync(path, 'utf8')).toBe('whole');
  });

  test('names a missing folder, a file in place of a folder, and a folder in place of a file', async () => {
    const missing = join(folder, 'missing', 'x.pth');
    await expect(writePth(missing, 1)).rejects.toThrow(
      /x\.pth: cannot be written: the folder .*missing does not exist/,
    );
    await expect(writePth(missing, 1)).rejects.toThrow(CheckpointError);
    await expect(writePth(join(fileWith('', 'plain'), 'x.pth'), 1)).rejects.toThrow(CheckpointError);
    mkdirSync(join(folder, 'dir.pth'));
    await expect(writePth(join(folder, 'dir.pth'), 1)).rejects.toThrow(CheckpointError);
    expect(leftovers()).toEqual([]);
  });

  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
    'reports missing permission in a read-only folder',
    async () => {
      const locked = join(folder, 'locked');
      mkdirSync(locked, { mode: 0o500 });
      await expect(writePth(join(locked, 'x.pth'), 1)).rejects.toThrow(/permission denied/);
      chmodSync(locked, 0o700);
    },
  );

  test('names a full disk', async () => {
    const path = join(folder, 'full.pth');
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    const writing = replaceFile(path, async (sink) => {
      await sink.write(new Uint8Array(10));
      throw full;
    });
    await expect(writing).rejects.toThrow(`${path}: cannot be written: no space left on the disk`);
    await expect(writing).rejects.toThrow(CheckpointError);
    expect(existsSync(path)).toBe(false);
    expect(leftovers()).toEqual([]);
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

describe('a damaged zip file', () => {
  /** Changes bytes of the directory entry, or of the local header, of an entry; returns the file. */
  async function damaged(
    change: (zip: Buffer, central: number, local: number) => void,
    name = 'archive/data/0',
  ) {
    const zip = await pthOf(pickleOf(tensorPickle({ length: 2, size: [2], stride: [1] }), '.'), {
      0: floats(1, 2),
    });
    const local = zip.indexOf(name) - 30;
    const central = zip.lastIndexOf(name) - 46;
    change(zip, central, local);
    return fileWith(zip);
  }

  test('is called a TorchScript program if it holds code', async () => {
    const zip = await zipOf({ 'm/data.pkl': 'x', 'm/code/__torch__/net.py': 'pass' });
    zip.writeUInt16LE(8, zip.lastIndexOf('m/code') - 46 + 10);
    const { message } = errorOf(() => readPth(fileWith(zip)));
    expect(message).toMatch(
      /holds a program of torch\.jit\.save .* torch\.jit\.load, save its state_dict\(\)/,
    );
    expect(message).not.toContain('damaged');
  });

  test.each<[string, Parameters<typeof damaged>[0], RegExp]>([
    ['compressed entries', (zip, at) => zip.writeUInt16LE(8, at + 10), /compressed or encrypted/],
    ['encrypted entries', (zip, at) => zip.writeUInt16LE(1, at + 8), /compressed or encrypted/],
    ['an entry beyond the end', (zip, at) => zip.writeUInt32LE(0x7fffffff, at + 42), /outside the file/],
    ['an entry without end', (zip, at) => zip.fill(0xff, at + 20, at + 28), /outside the file/],
    ['two sizes', (zip, at) => zip.writeUInt32LE(7, at + 20), /outside the file/],
    ['a broken directory', (zip, at) => zip.writeUInt32LE(0, at), /of its directory is broken/],
    ['a name without end', (zip, at) => zip.writeUInt16LE(0xffff, at + 28), /cut off/],
    ['a local header that is none', (zip, _, at) => zip.writeUInt32LE(0, at), /not where the directory says/],
    [
      'a far local header',
      (zip, _, at) => zip.writeUInt16LE(0xffff, at + 28),
      /not where the directory says/,
    ],
    [
      'changed data',
      (zip) => {
        zip[zip.indexOf(floats(1, 2))] ^= 1;
      },
      /data of storage 0 do not match their checksum/,
    ],
  ])('is refused if it has %s', async (_, change, message) => {
    const path = await damaged(change);
    const error = errorOf(() => (readPth(path) as HostTensor).bytes());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
  });

  test('is refused for a name that occurs twice', async () => {
    const zip = await zipOf({ 'm/data.pkl': pickleOf('N.'), 'm/data/0': '', 'm/data/1': '' });
    zip[zip.lastIndexOf('m/data/1') + 7] = 0x30;
    expect(() => readPth(fileWith(zip))).toThrow(/"m\/data\/0" is in it twice/);
  });

  test('is refused if a pickle does not match its checksum', async () => {
    const path = await damaged((zip) => {
      zip[zip.indexOf('FloatStorage')] ^= 1;
    });
    expect(() => readPth(path)).toThrow(/pickle does not match its checksum/);
  });

  test('is refused if its zip64 numbers contradict the file', async () => {
    const zip = await pthOf(pickleOf('N.'));
    const end64 = zip.length - 98;
    const end = zip.length - 22;
    /** The short fields say that the long ones count. */
    const large = (z: Buffer) => z.fill(0xff, end + 8, end + 20);
    const cases: [(zip: Buffer) => void, RegExp][] = [
      [(z) => large(z).writeBigUInt64LE(2n ** 63n, end64 + 48), /directory lies outside/],
      [(z) => large(z).writeBigUInt64LE(2n ** 40n, end64 + 40), /directory of/],
      [(z) => large(z).writeBigUInt64LE(2n ** 40n, end64 + 32), /of its directory is broken/],
      [(z) => large(z).writeBigUInt64LE(1n, end64 + 32), /more than the 1 entries that it claims/],
      [(z) => large(z).writeBigUInt64LE(1n, end64 + 48), /does not end where the archive does/],
      [(z) => z.writeUInt16LE(1, end + 10), /contradict each other/],
      [(z) => z.writeUInt32LE(1, end + 12), /contradict each other/],
      [(z) => z.writeUInt32LE(1, end + 16), /contradict each other/],
      [(z) => z.writeBigUInt64LE(2n ** 63n, zip.length - 42 + 8), /zip64 directory lies outside/],
      [(z) => z.writeBigUInt64LE(0n, zip.length - 42 + 8), /zip64 directory is missing/],
    ];
    for (const [change, message] of cases) {
      const copy = Buffer.from(zip);
      change(copy);
      const error = errorOf(() => readPth(fileWith(copy)));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toMatch(message);
    }
  });

  test('is read if it has no checksums, which PyTorch can leave out', async () => {
    const path = await damaged((zip, central) => {
      zip.writeUInt32LE(0, central + 16);
    });
    expect(bytesOf(readPth(path))).toEqual([1, 2]);
  });

  test('is refused if it is cut off at any byte', async () => {
    const zip = await pthOf(pickleOf(tensorPickle({ length: 2, size: [2], stride: [1] }), '.'), {
      0: floats(1, 2),
    });
    for (let length = 0; length < zip.length; length += 7) {
      expect(() => readPth(fileWith(zip.subarray(0, length))), `${length} bytes`).toThrow(CheckpointError);
    }
  });

  test('is refused if it was replaced between opening and reading', async () => {
    const path = join(folder, 'replaced.pth');
    await writePth(path, [float32Tensor([1], Float32Array.of(1))]);
    const [tensor] = readPth(path) as HostTensor[];
    await writePth(path, [float32Tensor([1], Float32Array.of(2)), 'longer']);
    expect(() => tensor.bytes()).toThrow(/changed or replaced/);
    rmSync(path);
    expect(() => tensor.bytes()).toThrow(/no such file/);
  });
});

describe('a file of the legacy format', () => {
  const MAGIC = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
  const system = (little: boolean) =>
    pickleOf([0x80, 2], '}', text('little_endian'), [little ? 0x88 : 0x89], 's.');
  const length = (n: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(n));
    return bytes;
  };
  const legacy = (value: Uint8Array, ...rest: Uint8Array[]) =>
    Buffer.concat([
      Buffer.from(MAGIC),
      pickleOf([0x80, 2], 'M', [233, 3], '.'),
      system(true),
      value,
      ...rest,
    ]);
  const one = pickleOf(tensorPickle({ length: 2, size: [2], stride: [1] }), '.');
  const keys = pickleOf('](', text('0'), 'e.');
  const whole = () => legacy(one, keys, length(2), floats(3, 4));

  test('is read', () => {
    expect(bytesOf(readPth(fileWith(whole())))).toEqual([3, 4]);
  });

  test('may hold views of storages', () => {
    const view = pickleOf(
      'ctorch._utils\n_rebuild_tensor\n((',
      text('storage'),
      'ctorch\nFloatStorage\n',
      text('0'),
      text('cpu'),
      int(4),
      '(',
      text('1'),
      int(1),
      int(3),
      'ttQ',
      int(1),
      '(',
      int(2),
      't(',
      int(1),
      'ttR.',
    );
    const path = fileWith(legacy(view, keys, length(4), floats(0, 1, 2, 3)));
    expect(bytesOf(readPth(path))).toEqual([2, 3]);
  });

  test('is refused if it is cut off at any byte', () => {
    const file = whole();
    for (let end = 0; end < file.length; end++) {
      expect(() => readPth(fileWith(file.subarray(0, end))), `${end} bytes`).toThrow(CheckpointError);
    }
  });

  test.each<[string, () => Buffer, RegExp]>([
    [
      'another length than promised',
      () => legacy(one, keys, length(3), floats(1, 2, 3)),
      /3 elements instead of 2/,
    ],
    ['a storage too many', () => legacy(pickleOf('N.'), keys, length(0)), /belongs to nothing/],
    ['a storage too few', () => legacy(one, pickleOf('].')), /storage 0 are missing/],
    ['no list of storages', () => legacy(one, pickleOf('N.')), /list of its storages/],
    [
      'a storage larger than the file',
      () => legacy(pickleOf(tensorPickle({ length: 2 ** 40, size: [2], stride: [1] }), '.'), keys),
      /claims/,
    ],
    [
      'a storage of an unknown type',
      () =>
        legacy(pickleOf(tensorPickle({ type: 'NewStorage', length: 2, size: [2], stride: [1] }), '.'), keys),
      /NewStorage are unknown/,
    ],
    [
      'a big-endian machine',
      () => Buffer.concat([Buffer.from(MAGIC), pickleOf('M', [233, 3], '.'), system(false), one]),
      /big-endian/,
    ],
    ['another protocol', () => Buffer.concat([Buffer.from(MAGIC), pickleOf('K', [1], '.')]), /protocol is 1/],
  ])('is refused if it has %s', (_, make, message) => {
    const error = errorOf(() => readPth(fileWith(make())));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
  });
});

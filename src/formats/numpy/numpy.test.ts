/** @file Tests of reading pickles of NumPy's arrays: those of Python 2 and 3 with every protocol, and long ones. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { errorOf, pickleOf, plain, pthOf, text } from '../../../test/support/checkpoint_files.js';
import { arrayPickle, bufferPickle, pushed, WRITTEN_PICKLES } from '../../../test/support/numpy_pickles.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import { FileSource } from '../../files/file_source.js';
import { type DType, elementsOf, type HostTensor, isHostTensor, piecesOf } from '../host_tensor.js';
import { readPickle } from '../pickle/pickle_file.js';
import { readPth } from '../pth/pth_reader.js';
import type { PyValue } from '../python/values.js';
import { NumpyArray } from './array.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

function read(...parts: Parameters<typeof pickleOf>): PyValue {
  const path = join(folder, 'x.pkl');
  writeFileSync(path, pickleOf(...parts));
  return readPickle(path);
}

const tensor = (dtype: DType, shape: number[], elements: unknown[]) => ({ dtype, shape, elements });
const single = Math.fround;
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const pair = tensor('float32', [2], [1, 2]);

/** The values of the pickles by their titles, as `plain` shows them. */
const VALUES: Record<string, unknown> = {
  float32: tensor('float32', [2, 3], [1.5, -2, 3.25, 0, single(1e-3), -7]),
  'float64 by columns': tensor('float64', [2, 3], [1.5, -2, 3.25, 0, 1e-3, -7]),
  'float32, big-endian': tensor('float32', [2, 3], [1.5, -2, 3.25, 0, single(1e-3), -7]),
  'int64, big-endian': tensor('int64', [2], [-2n, 2n ** 40n]),
  float16: tensor('float16', [3], [1.5, -2, 65504]),
  'float16, big-endian': tensor('float16', [3], [1.5, -2, 65504]),
  int8: tensor('int8', [2], [-128, 127]),
  int16: tensor('int16', [3], [-300, 0, 300]),
  int32: tensor('int32', [2], [-70000, 70000]),
  uint8: tensor('uint8', [3], [0, 128, 255]),
  uint16: tensor('int32', [2], [1, 65535]),
  uint32: tensor('int64', [2], [1n, 2n ** 32n - 1n]),
  bool: tensor('bool', [2], [1, 0]),
  'three axes by columns': tensor('int32', [2, 3, 4], upTo(24)),
  'axes in another order': tensor(
    'int32',
    [2, 3, 4],
    [0, 8, 16, 4, 12, 20].flatMap((start) => upTo(4).map((i) => start + i)),
  ),
  'every second column': tensor('int32', [2, 2], [0, 2, 4, 6]),
  'a scalar array': tensor('float32', [], [2.5]),
  'an empty array': tensor('float32', [0, 4], []),
  'single bytes': {
    dict: [
      ['b', tensor('int8', [1], [60])],
      ['|', tensor('int8', [1], [98])],
    ],
  },
  'a number': 0.1,
  'a short number': 0.5,
  'the same array twice': [pair, pair],
  text: {
    dict: [
      ['été', '漢'],
      ['list', [1, { tuple: [2.5, null] }, true]],
    ],
  },
};

/** Titles of arrays that no tensor can hold. */
const OTHERS = ['objects', 'records', 'texts', 'complex numbers', 'numbers of the type u8'];

describe('a pickle of Python', () => {
  test.each(WRITTEN_PICKLES.filter(({ title }) => !OTHERS.includes(title)))(
    'by $writer with protocol $protocol is read: $title',
    ({ title, bytes }) => {
      const sorted = (value: unknown) => {
        const dict = (value as { dict?: [string, unknown][] } | null)?.dict;
        return dict ? { dict: dict.toSorted(([a], [b]) => (a < b ? -1 : 1)) } : value;
      };
      expect(sorted(plain(read(bytes)))).toEqual(sorted(VALUES[title]));
    },
  );

  test.each(WRITTEN_PICKLES.filter(({ title }) => OTHERS.includes(title)))(
    'by $writer with protocol $protocol has an array that says what it holds: $title',
    ({ title, bytes }) => {
      const array = (read(bytes) as Map<string, PyValue>).get('a');
      expect(array).toBeInstanceOf(NumpyArray);
      expect((array as NumpyArray).elements).toBe(title);
    },
  );

  test('is read as one object where it refers to an array twice', () => {
    const { bytes } = WRITTEN_PICKLES.find(({ title }) => title === 'the same array twice')!;
    const [a, b] = read(bytes) as HostTensor[];
    expect(a).toBe(b);
  });

  test('is refused if it is cut off or goes on', () => {
    for (const { bytes, writer, protocol, title } of WRITTEN_PICKLES) {
      for (const length of [bytes.length - 1, bytes.length >> 1]) {
        const cut = errorOf(() => read(bytes.subarray(0, length)));
        expect(cut, `${writer} ${protocol} ${title}`).toBeInstanceOf(CheckpointError);
      }
    }
    expect(() => read('N.N')).toThrow(/1 bytes follow its end/);
    expect(() => read('Pabc\n.')).toThrow(/a reference to data outside of the pickle/);
  });

  test.each(['Python 2', 'Python 3'])('by %s in a file of PyTorch has tensors, too', async (writer) => {
    const written = WRITTEN_PICKLES.filter((pickle) => pickle.writer === writer && pickle.protocol === 2);
    const { bytes } = written.find(({ title }) => title === 'float32')!;
    const path = join(folder, 'x.pth');
    writeFileSync(path, await pthOf(bytes));
    expect(plain(readPth(path))).toEqual(VALUES.float32);
  });
});

describe('a long array', () => {
  const data = Float32Array.from({ length: 3 * 700 }, (_, i) => Math.sin(i));
  const bytes = new Uint8Array(data.buffer);
  const spec = { code: 'f4', shape: [3, 700] };

  const cases = Object.entries(pushed).flatMap(([name, push]): [string, Buffer][] => [
    [`${name} in its state`, arrayPickle({ ...spec, data: push(bytes) })],
    ...(name === 'bytes' || name === 'bytearray'
      ? [[`${name} in a buffer`, bufferPickle({ ...spec, data: push(bytes) })] satisfies [string, Buffer]]
      : []),
  ]);
  test.each(cases)('stays in the file until it is read: %s', (_, pickle) => {
    const { read: readRange } = FileSource.prototype;
    let longest = 0;
    const value = read('}', text('a'), pickle, 's.') as Map<string, HostTensor>;
    FileSource.prototype.read = function (offset, length) {
      longest = Math.max(longest, length);
      return readRange.call(this, offset, length);
    };
    try {
      const array = value.get('a')!;
      expect(isHostTensor(array)).toBe(true);
      expect(elementsOf(array)).toEqual(data);
      expect(Buffer.concat([...piecesOf(array)]).equals(bytes)).toBe(true);
      expect(longest).toBeGreaterThanOrEqual(bytes.length);
    } finally {
      FileSource.prototype.read = readRange;
    }
  });

  test('is read in pieces, which are turned from big-endian one by one', () => {
    const count = 3_000_000;
    const numbers = Buffer.alloc(4 * count);
    for (let i = 0; i < count; i++) numbers.writeInt32BE(i, 4 * i);
    const array = read(
      arrayPickle({ code: 'i4', order: '>', shape: [count], data: pushed.python2(numbers) }),
      '.',
    );
    const pieces = Array.from(piecesOf(array as HostTensor), (piece) => Buffer.from(piece));
    expect(pieces.length).toBe(3);
    // toEqual would take half a minute.
    const expected = Buffer.from(Int32Array.from({ length: count }, (_, i) => i).buffer);
    expect(Buffer.concat(pieces).equals(expected)).toBe(true);
    expect(expected.equals((array as HostTensor).bytes())).toBe(true);
  });

  test('may be stored by columns', () => {
    const array = read(arrayPickle({ ...spec, isFortran: true, data: pushed.bytes(bytes) }), '.');
    const rows = elementsOf(array as HostTensor);
    expect([rows[0], rows[1], rows[700], rows[701]]).toEqual([data[0], data[3], data[1], data[4]]);
    expect(Buffer.concat([...piecesOf(array as HostTensor)]).equals(new Uint8Array(rows.buffer))).toBe(true);
  });

  test('may have wider elements in its tensor than in the file', () => {
    const numbers = Uint16Array.from({ length: 5000 }, (_, i) => 65535 - i);
    const stored = new Uint8Array(numbers.buffer);
    const array = read(arrayPickle({ code: 'u2', shape: [5000], data: pushed.bytes(stored) }), '.');
    expect(elementsOf(array as HostTensor)).toEqual(Int32Array.from(numbers));
  });
});

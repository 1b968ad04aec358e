/** @file Tests of .pth files in the format before PyTorch 1.6. */
import { describe, expect, test } from 'vitest';
import {
  bytesOf,
  errorOf,
  floats,
  int,
  pickleOf,
  tensorPickle,
  text,
} from '../../../test/support/checkpoint_files.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import { readPth } from './pth_reader.js';

const { file } = temporaryFiles();
const fileWith = (bytes: Uint8Array) => file('x.pth', bytes);

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

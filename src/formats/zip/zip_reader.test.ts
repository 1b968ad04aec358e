/** @file Tests of .pth files whose zip archive is damaged. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  bytesOf,
  errorOf,
  floats,
  pickleOf,
  pthOf,
  tensorPickle,
  zipOf,
} from '../../../test/support/checkpoint_files.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import { float32Tensor, type HostTensor } from '../host_tensor.js';
import { readPth } from '../pth/pth_reader.js';
import { writePth } from '../pth/pth_writer.js';

const { at, file } = temporaryFiles();
const fileWith = (bytes: Uint8Array) => file('x.pth', bytes);

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
    const path = at('replaced.pth');
    await writePth(path, [float32Tensor([1], Float32Array.of(1))]);
    const [tensor] = readPth(path) as HostTensor[];
    await writePth(path, [float32Tensor([1], Float32Array.of(2)), 'longer']);
    expect(() => tensor.bytes()).toThrow(/changed or replaced/);
    rmSync(path);
    expect(() => tensor.bytes()).toThrow(/no such file/);
  });
});

/** @file Tests of verifying whole weight files, and of checksums while tensors are read. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { errorOf, pickleOf, pthOf, tensorPickle, text } from '../../test/support/checkpoint_files.js';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { CheckpointError } from '../errors.js';
import { FileSource } from '../files/file_source.js';
import { float32Tensor, type HostTensor, piecesOf } from './host_tensor.js';
import { readPth } from './pth/pth_reader.js';
import { writePth } from './pth/pth_writer.js';
import { checkWeightFile, verifyWeightFile, weightFormatOf } from './weight_file.js';
import { findEntryData, readZipDirectory } from './zip/zip_reader.js';

const GOLDEN = fileURLToPath(new URL('../../test/golden/data/checkpoints/', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

async function smallFile(): Promise<string> {
  const path = join(folder, 'small.pth');
  const model = {
    a: float32Tensor([2], Float32Array.of(1, 2)),
    'b.c': float32Tensor([1], Float32Array.of(3)),
  };
  await writePth(path, { model, iteration: 7 });
  return path;
}

/** The file with a bit of an entry's data changed. */
function withDamage(path: string, entryName: string): string {
  const file = new FileSource(path);
  const bytes = readFileSync(path);
  bytes[findEntryData(file, readZipDirectory(file).get(entryName)!)] ^= 4;
  const changed = join(folder, 'changed.pth');
  writeFileSync(changed, bytes);
  return changed;
}

describe('verifyWeightFile', () => {
  test('accepts intact files of each format', async () => {
    for (const name of [
      'a_model_0000002.pth',
      'c_legacy.pth',
      'f_storages.pth',
      'model_weights.safetensors',
    ]) {
      expect(() => verifyWeightFile(join(GOLDEN, name)), name).not.toThrow();
    }
    expect(weightFormatOf(join(GOLDEN, 'c_legacy.pth'))).toBe('legacy pth');
    const report = checkWeightFile(await smallFile());
    // data.pkl, byteorder, two storages, version, serialization_id.
    expect(report).toEqual({ good: 6, unchecked: 0, damaged: [] });
  });

  test('finds a changed bit in any entry, and names the tensor or the entry', async () => {
    const path = await smallFile();
    const names: Record<string, RegExp> = {
      'archive/data.pkl': /its pickle does not match its checksum/,
      'archive/data/0': /damaged: not what its checksum says: model\.a$/,
      'archive/data/1': /damaged: not what its checksum says: model\.b\.c$/,
      'archive/version': /damaged: not what its checksum says: archive\/version$/,
      'archive/.data/serialization_id': /archive\/\.data\/serialization_id$/,
    };
    for (const [name, message] of Object.entries(names)) {
      const changed = withDamage(path, name);
      const error = errorOf(() => verifyWeightFile(changed));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toMatch(message);
      expect(error.message).toContain(changed);
    }
  });

  test('finds damage in a storage without a tensor', async () => {
    const path = join(folder, 'more.pth');
    writeFileSync(path, await pthOf(pickleOf('N.'), { 5: floats(1) }));
    verifyWeightFile(path);
    expect(() => verifyWeightFile(withDamage(path, 'archive/data/5'))).toThrow(/archive\/data\/5/);
  });

  test('finds that a file is cut off anywhere, in every format', async () => {
    const small = await smallFile();
    const legacy = join(GOLDEN, 'f_storages_legacy.pth');
    const safetensors = join(GOLDEN, 'model_weights.safetensors');
    const cut = join(folder, 'cut');
    for (const path of [small, legacy, safetensors]) {
      const bytes = readFileSync(path);
      const step = Math.ceil(bytes.length / 200);
      for (let length = 0; length < bytes.length; length += step) {
        writeFileSync(cut, bytes.subarray(0, length));
        expect(() => verifyWeightFile(cut), `${path}: ${length}`).toThrow(CheckpointError);
      }
    }
  });

  test('counts parts without a checksum', async () => {
    const path = join(folder, 'without.pth');
    const zip = await pthOf(pickleOf(tensorPickle({ length: 1, size: [1], stride: [1] }), '.'), {
      0: floats(1),
    });
    zip.writeUInt32LE(0, zip.lastIndexOf('archive/data/0') - 46 + 16);
    writeFileSync(path, zip);
    expect(checkWeightFile(path)).toEqual({ good: 2, unchecked: 1, damaged: [] });
    expect(checkWeightFile(join(GOLDEN, 'c_legacy.pth'))).toMatchObject({ good: 0, damaged: [] });
    const { unchecked } = checkWeightFile(join(GOLDEN, 'model_weights.safetensors'));
    expect(unchecked).toBeGreaterThan(0);
  });
});

describe('a tensor that is part of a storage', () => {
  /** Rows of a stored matrix [2, 3], of which each is a tensor. */
  async function rows(): Promise<string> {
    const row = (offset: number) => tensorPickle({ length: 6, offset, size: [3], stride: [1] });
    const path = join(folder, 'rows.pth');
    const pickle = pickleOf('}(', text('first'), row(0), text('second'), row(3), 'u.');
    writeFileSync(path, await pthOf(pickle, { 0: floats(1, 2, 3, 4, 5, 6) }));
    return path;
  }
  const read = (path: string) => readPth(path) as Map<string, HostTensor>;

  test('can be read whole and in pieces', async () => {
    const second = read(await rows()).get('second')!;
    expect(Buffer.from(second.bytes()).equals(floats(4, 5, 6))).toBe(true);
    expect(Buffer.concat([...piecesOf(second)]).equals(floats(4, 5, 6))).toBe(true);
  });

  test('is refused if another part of the storage is damaged', async () => {
    const changed = withDamage(await rows(), 'archive/data/0');
    const second = read(changed).get('second')!;
    expect(() => second.bytes()).toThrow(/storage 0 do not match their checksum/);
    expect(() => [...piecesOf(second)]).toThrow(/storage 0 do not match their checksum/);
  });

  test('needs the whole storage to be read only once', async () => {
    const path = await rows();
    let looks = 0;
    const { pieces } = FileSource.prototype;
    FileSource.prototype.pieces = function (...range) {
      looks++;
      return pieces.apply(this, range);
    };
    try {
      const tensors = read(path);
      looks = 0;
      for (const tensor of tensors.values()) for (let i = 0; i < 3; i++) tensor.bytes();
      expect(looks).toBe(1);
    } finally {
      FileSource.prototype.pieces = pieces;
    }
  });
});

test('reads a long tensor in pieces, and reports damage at its end after them', async () => {
  const path = join(folder, 'long.pth');
  const data = Float32Array.from({ length: 2_500_000 }, (_, i) => i);
  await writePth(path, float32Tensor([2_500_000], data));
  const pieces = Array.from(piecesOf(readPth(path) as HostTensor), (piece) => Buffer.from(piece));
  expect(pieces.length).toBe(3);
  expect(Buffer.concat(pieces).equals(new Uint8Array(data.buffer))).toBe(true);
  const bytes = readFileSync(path);
  bytes[bytes.indexOf(new Uint8Array(data.buffer).subarray(-64))] ^= 1;
  writeFileSync(path, bytes);
  let read = 0;
  const all = () => {
    for (const piece of piecesOf(readPth(path) as HostTensor)) read += piece.length;
  };
  expect(all).toThrow(/do not match their checksum/);
  expect(read).toBe(10_000_000);
});

/** @file Tests of archives beyond 4 GiB, in files that are mostly holes. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { pickleOf, tensorPickle } from '../../../test/support/checkpoint_files.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { FileSource } from '../../files/file_source.js';
import { crc32OfRange } from '../checksum.js';
import type { HostTensor } from '../host_tensor.js';
import { readPth } from '../pth/pth_reader.js';
import { findEntryData, readZipDirectory } from './zip_reader.js';
import { ZipWriter } from './zip_writer.js';

const GIB = 2 ** 30;

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

/** Writes to a file, but leaves holes for large pieces, which the tests have all zero. */
class SparseSink {
  position = 0;

  constructor(readonly handle: FileHandle) {}

  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length < GIB) await this.handle.write(bytes, 0, bytes.length, this.position);
    this.position += bytes.length;
  }
}

async function writeSparse(path: string, write: (zip: ZipWriter, sink: SparseSink) => Promise<void>) {
  const handle = await open(path, 'w');
  const sink = new SparseSink(handle);
  const zip = new ZipWriter(sink);
  await write(zip, sink);
  await zip.finish();
  await handle.close();
}

const pickle = pickleOf(tensorPickle({ length: 2, size: [2], stride: [1] }), '.');
const data = new Uint8Array(Float32Array.of(1, 2).buffer);

test('reads entries that begin beyond 4 GiB', async () => {
  const path = join(folder, 'far.pth');
  await writeSparse(path, async (zip, sink) => {
    await zip.add('m/data.pkl', pickle);
    sink.position += 5 * GIB + 7;
    await zip.add('m/data/0', data);
  });
  const file = new FileSource(path);
  expect(file.size).toBeGreaterThan(5 * GIB);
  const entry = readZipDirectory(file).get('m/data/0')!;
  expect(entry.headerOffset).toBeGreaterThan(5 * GIB);
  expect(findEntryData(file, entry) % 64).toBe(0);
  expect((readPth(path) as HostTensor).bytes()).toEqual(Buffer.from(data));
});

describe.skipIf(!process.env.STMIXER_LONG_TESTS)('a long zip64 archive', () => {
  test('may hold an entry of 4 GiB', async () => {
    const path = join(folder, 'large.pth');
    await writeSparse(path, async (zip) => {
      await zip.add('m/data.pkl', pickle);
      await zip.add('m/data/1', new Uint8Array(4 * GIB));
      await zip.add('m/data/0', data);
    });
    const file = new FileSource(path);
    const entry = readZipDirectory(file).get('m/data/1')!;
    expect(entry.size).toBe(4 * GIB);
    expect(crc32OfRange(file, findEntryData(file, entry), entry.size)).toBe(entry.crc32);
    expect((readPth(path) as HostTensor).bytes()).toEqual(Buffer.from(data));
  });
});

/**
 * @file Writes a zip archive as PyTorch does: plain entries whose data begin at multiples of 64 bytes, and zip64.
 *
 * Own code instead of a zip library: none aligns the data of an entry, which torch.load(mmap=True) needs. The data of an
 * entry come from a tensor in one piece, so size and CRC are known before its header is written.
 */
import type { FileSink } from '../../files/atomic_file.js';
import { crc32 } from '../checksum.js';
import { LOCAL_BYTES, SIGNATURE } from './zip_reader.js';

const ALIGNMENT = 64;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;
const VERSION_ZIP64 = 45;
const UTF8_NAMES = 0x0800;
/** 1 January 1980, the first day a zip knows: equal values give equal files. */
const DATE = 0x0021;
/** Extra fields: sizes beyond 32 bits, and PyTorch's own padding. */
const ZIP64_FIELD = 0x0001;
const PADDING_FIELD = 0x4246;

interface Written {
  readonly name: Buffer;
  readonly size: number;
  readonly crc32: number;
  readonly offset: number;
}

export class ZipWriter {
  readonly #entries: Written[] = [];

  constructor(readonly sink: Pick<FileSink, 'write' | 'position'>) {}

  /** Adds an entry; `data` must not change until the promise settles. Returns the CRC-32 of the data. */
  async add(entryName: string, data: Uint8Array): Promise<number> {
    const name = Buffer.from(entryName);
    const offset = this.sink.position;
    const entry = { name, size: data.length, crc32: crc32(data), offset };
    await this.sink.write(localHeader(entry));
    await this.sink.write(data);
    this.#entries.push(entry);
    return entry.crc32;
  }

  /** Writes the directory; nothing can be added afterwards. */
  async finish(): Promise<void> {
    const start = this.sink.position;
    for (const entry of this.#entries) await this.sink.write(centralHeader(entry));
    const end = this.sink.position;
    const count = this.#entries.length;

    const trailer = Buffer.alloc(56 + 20 + 22);
    trailer.writeUInt32LE(SIGNATURE.end64, 0);
    trailer.writeBigUInt64LE(44n, 4);
    trailer.writeUInt16LE(VERSION_ZIP64, 12);
    trailer.writeUInt16LE(VERSION_ZIP64, 14);
    trailer.writeBigUInt64LE(BigInt(count), 24);
    trailer.writeBigUInt64LE(BigInt(count), 32);
    trailer.writeBigUInt64LE(BigInt(end - start), 40);
    trailer.writeBigUInt64LE(BigInt(start), 48);

    trailer.writeUInt32LE(SIGNATURE.locator64, 56);
    trailer.writeBigUInt64LE(BigInt(end), 64);
    trailer.writeUInt32LE(1, 72);

    trailer.writeUInt32LE(SIGNATURE.end, 76);
    trailer.writeUInt16LE(Math.min(count, FULL_16), 84);
    trailer.writeUInt16LE(Math.min(count, FULL_16), 86);
    trailer.writeUInt32LE(Math.min(end - start, FULL_32), 88);
    trailer.writeUInt32LE(Math.min(start, FULL_32), 92);
    await this.sink.write(trailer);
  }
}

function localHeader({ name, size, crc32: crc, offset }: Written): Buffer {
  const large = size >= FULL_32;
  const zip64 = large ? zip64Field([size, size]) : Buffer.alloc(0);
  const unpadded = offset + LOCAL_BYTES + name.length + zip64.length + 4;
  const padding = Buffer.alloc(4 + ((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT), 'Z');
  padding.writeUInt16LE(PADDING_FIELD, 0);
  padding.writeUInt16LE(padding.length - 4, 2);

  const header = Buffer.alloc(LOCAL_BYTES);
  header.writeUInt32LE(SIGNATURE.local, 0);
  header.writeUInt16LE(VERSION_ZIP64, 4);
  header.writeUInt16LE(UTF8_NAMES, 6);
  header.writeUInt16LE(DATE, 12);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(large ? FULL_32 : size, 18);
  header.writeUInt32LE(large ? FULL_32 : size, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(zip64.length + padding.length, 28);
  return Buffer.concat([header, name, zip64, padding]);
}

function centralHeader({ name, size, crc32: crc, offset }: Written): Buffer {
  const large = size >= FULL_32;
  const far = offset >= FULL_32;
  const fields = [...(large ? [size, size] : []), ...(far ? [offset] : [])];
  const zip64 = fields.length > 0 ? zip64Field(fields) : Buffer.alloc(0);

  const header = Buffer.alloc(46);
  header.writeUInt32LE(SIGNATURE.central, 0);
  header.writeUInt16LE(VERSION_ZIP64, 4);
  header.writeUInt16LE(VERSION_ZIP64, 6);
  header.writeUInt16LE(UTF8_NAMES, 8);
  header.writeUInt16LE(DATE, 14);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(large ? FULL_32 : size, 20);
  header.writeUInt32LE(large ? FULL_32 : size, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(zip64.length, 30);
  header.writeUInt32LE(far ? FULL_32 : offset, 42);
  return Buffer.concat([header, name, zip64]);
}

function zip64Field(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(ZIP64_FIELD, 0);
  field.writeUInt16LE(8 * values.length, 2);
  for (const [i, value] of values.entries()) field.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  return field;
}

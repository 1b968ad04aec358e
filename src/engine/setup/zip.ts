/** @file Streams files out of a zip archive, as pip wheels are: stored or deflated entries, under 4 GiB. */
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';

const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;
/** Stands in a 32-bit field whose number is elsewhere, as in archives over 4 GiB. */
const IN_ZIP64 = 0xffffffff;
const PIECE_BYTES = 1 << 18;
const SIGNATURE = { end: 0x06054b50, entry: 0x02014b50, local: 0x04034b50 };
const METHOD = { stored: 0, deflated: 8 };

export interface ZipEntry {
  name: string;
  /** Unpacked, in bytes. */
  size: number;
  /** Of the content as it is in the archive. */
  packedSize: number;
  method: number;
  offset: number;
}

/** An open archive. Errors say what is wrong with the file, not which file it is. */
export class ZipFile {
  private constructor(
    private readonly file: FileHandle,
    readonly entries: ZipEntry[],
  ) {}

  static async open(path: string): Promise<ZipFile> {
    const file = await open(path);
    try {
      return new ZipFile(file, await readDirectory(file));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** The content of an entry. */
  async read(entry: ZipEntry): Promise<Readable> {
    const header = await readAt(this.file, entry.offset, LOCAL_HEADER_BYTES);
    if (header.readUInt32LE(0) !== SIGNATURE.local)
      throw new Error(`'${entry.name}' is not where it should be`);
    const start = entry.offset + LOCAL_HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
    const packed = Readable.from(pieces(this.file, start, entry.packedSize), { objectMode: false });
    if (entry.method === METHOD.stored) return packed;
    const inflate = createInflateRaw();
    packed.on('error', (error) => inflate.destroy(error));
    return packed.pipe(inflate);
  }
}

async function readDirectory(file: FileHandle): Promise<ZipEntry[]> {
  const { size } = await file.stat();
  const tailBytes = Math.min(size, END_BYTES + MAX_COMMENT_BYTES);
  const tail = await readAt(file, size - tailBytes, tailBytes);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && tail.readUInt32LE(end) !== SIGNATURE.end) end--;
  if (end < 0) throw new Error('it is no zip archive, or its end is missing');
  const [directoryBytes, offset] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
  if (offset + directoryBytes > size) throw new Error('its directory lies outside the file');
  const directory = await readAt(file, offset, directoryBytes);
  const entries: ZipEntry[] = [];
  let at = 0;
  while (at < directoryBytes) {
    if (at + ENTRY_BYTES > directoryBytes || directory.readUInt32LE(at) !== SIGNATURE.entry)
      throw new Error(`entry ${entries.length + 1} of its directory is broken`);
    const nameEnd = at + ENTRY_BYTES + directory.readUInt16LE(at + 28);
    const entry = {
      name: directory.toString('utf8', at + ENTRY_BYTES, nameEnd),
      method: directory.readUInt16LE(at + 10),
      packedSize: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    };
    if (entry.method !== METHOD.stored && entry.method !== METHOD.deflated)
      throw new Error(`'${entry.name}' is compressed in another way than wheels are`);
    if ([entry.packedSize, entry.size, entry.offset].includes(IN_ZIP64))
      throw new Error(`'${entry.name}' takes a zip64 archive, which wheels are not`);
    entries.push(entry);
    at = nameEnd + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

/** A range of the file, piece by piece. */
async function* pieces(file: FileHandle, start: number, length: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < length; done += PIECE_BYTES)
    yield await readAt(file, start + done, Math.min(PIECE_BYTES, length - done));
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead < length) throw new Error('it ends too early');
  return buffer;
}

/** @file Arbitrary zip archives of checkpoints in which one record or another lies. */
import fc from 'fast-check';
import { crc32 } from '../../src/formats/checksum.js';
import { pickleOf, tensorPickle } from './checkpoint_files.js';
import { hostileNumber, seldom } from './file_mutations.js';

const pickle = pickleOf(
  '(',
  tensorPickle({ length: 2, size: [2], stride: [1] }),
  tensorPickle({ key: '1', length: 2, size: [2], stride: [1] }),
  't.',
);

const lie = seldom(hostileNumber);

const entry = fc.record({
  name: fc.constantFrom<string[]>(
    'm/data/0',
    'm/data/1',
    'm/version',
    'm/byteorder',
    'n/data.pkl',
    '../x',
    'm/\u00e4',
  ),
  otherName: seldom(fc.constantFrom<string[]>('m/data/9', '')),
  data: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  size: lie,
  stored: lie,
  crc: lie,
  offset: lie,
  method: lie,
  extraLength: lie,
  zip64: fc.boolean(),
});

const structure = fc.record({
  entries: fc.array(entry, { maxLength: 6 }),
  order: fc.boolean(),
  count: lie,
  directorySize: lie,
  directoryOffset: lie,
  zip64End: fc.boolean(),
  count64: lie,
  size64: lie,
  offset64: lie,
  end64: lie,
  comment: fc.oneof(
    { weight: 5, arbitrary: fc.constant('') },
    fc.constantFrom('hello', 'PK\x05\x06', `PK\x05\x06${'\0'.repeat(18)}`),
  ),
});
type Structure = typeof structure extends fc.Arbitrary<infer T> ? T : never;
type Entry = Structure['entries'][number];

export const zipStructure = structure.map(build);

function build(spec: Structure): Buffer {
  const first: Entry = { ...HONEST, name: 'm/data.pkl', data: new Uint8Array(pickle) };
  const storages = ['m/data/0', 'm/data/1'].map((name) => ({ ...HONEST, name }));
  const entries = [
    first,
    ...storages.filter(({ name }) => !spec.entries.some((other) => other.name === name)),
    ...spec.entries,
  ];
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const item of entries) {
    const header = Buffer.concat([
      localHeader(item),
      Buffer.from(item.otherName ?? item.name),
      Buffer.from(item.data),
    ]);
    directory.push(centralHeader(item, offset));
    parts.push(header);
    offset += header.length;
  }
  if (spec.order) directory.reverse();
  const index = Buffer.concat(directory);
  const truth = { count: entries.length, size: index.length, offset };
  return Buffer.concat([...parts, index, ...(spec.zip64End ? [end64(spec, truth)] : []), end(spec, truth)]);
}

const HONEST: Entry = {
  name: '',
  otherName: null,
  data: new Uint8Array(8),
  size: null,
  stored: null,
  crc: null,
  offset: null,
  method: null,
  extraLength: null,
  zip64: false,
};

function localHeader({ name, otherName, data, extraLength }: Entry): Buffer {
  const header = Buffer.alloc(30);
  header.write('PK\x03\x04', 'latin1');
  header.writeUInt32LE(crc32(data), 14);
  header.writeUInt32LE(data.length, 18);
  header.writeUInt32LE(data.length, 22);
  header.writeUInt16LE(Buffer.byteLength(otherName ?? name), 26);
  header.writeUInt16LE((extraLength ?? 0) % 0x10000, 28);
  return header;
}

function centralHeader(item: Entry, place: number): Buffer {
  const { name, data, zip64 } = item;
  const [size, stored, offset] = [
    item.size ?? data.length,
    item.stored ?? item.size ?? data.length,
    item.offset ?? place,
  ];
  const extra = Buffer.alloc(zip64 ? 28 : 0);
  if (zip64) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    for (const [i, value] of [size, stored, offset].entries())
      extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  }
  const short = (value: number) => (zip64 ? 0xffffffff : value % 2 ** 32);
  const header = Buffer.alloc(46);
  header.write('PK\x01\x02', 'latin1');
  header.writeUInt16LE((item.method ?? 0) % 0x10000, 10);
  header.writeUInt32LE((item.crc ?? crc32(data)) % 2 ** 32, 16);
  header.writeUInt32LE(short(stored), 20);
  header.writeUInt32LE(short(size), 24);
  header.writeUInt16LE(Buffer.byteLength(name), 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE(short(offset), 42);
  return Buffer.concat([header, Buffer.from(name), extra]);
}

interface Truth {
  count: number;
  size: number;
  offset: number;
}

function end64({ count64, size64, offset64, end64 }: Structure, { count, size, offset }: Truth): Buffer {
  const records = Buffer.alloc(56 + 20);
  records.write('PK\x06\x06', 0, 'latin1');
  records.writeBigUInt64LE(44n, 4);
  records.writeBigUInt64LE(BigInt(count64 ?? count), 32);
  records.writeBigUInt64LE(BigInt(size64 ?? size), 40);
  records.writeBigUInt64LE(BigInt(offset64 ?? offset), 48);
  records.write('PK\x06\x07', 56, 'latin1');
  records.writeBigUInt64LE(BigInt(end64 ?? offset + size), 64);
  return records;
}

function end(spec: Structure, { count, size, offset }: Truth): Buffer {
  const record = Buffer.alloc(22);
  record.write('PK\x05\x06', 'latin1');
  record.writeUInt16LE((spec.count ?? count) % 0x10000, 10);
  record.writeUInt32LE((spec.directorySize ?? size) % 2 ** 32, 12);
  record.writeUInt32LE((spec.directoryOffset ?? offset) % 2 ** 32, 16);
  record.writeUInt16LE(spec.comment.length, 20);
  return Buffer.concat([record, Buffer.from(spec.comment, 'latin1')]);
}

/** @file Arbitrary changes of files, for fuzzing: of bits, blocks, and the numbers that formats keep in known places. */
import fc from 'fast-check';

/** Numbers at which sizes, offsets and counts break. */
export const hostileNumber = fc.oneof(
  fc.constantFrom(0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff),
  fc.constantFrom(2 ** 31, 2 ** 40, 2 ** 53, 2 ** 63, 2 ** 64 - 2 ** 11),
  fc.integer({ min: 0, max: 1 << 16 }),
);

/** A lie: what a field says instead of the truth; null, the truth, nearly always. */
export function seldom<T>(lies: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 40, arbitrary: fc.constant(null) }, lies);
}

/** A place as a fraction of the length. */
const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const length = fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 1000 }));
const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff));

/** Beginnings of records of zip, after which their numbers come. */
const RECORDS = ['PK\x03\x04', 'PK\x01\x02', 'PK\x05\x06', 'PK\x06\x06', 'PK\x06\x07'];

const mutation = fc.oneof(
  fc.record({
    kind: fc.constantFrom('flip', 'set', 'insert', 'delete', 'truncate', 'repeat', 'move', 'end'),
    at: place,
    to: place,
    byte,
    length,
  }),
  fc.record({ kind: fc.constant('splice'), at: place, to: place, length }),
  fc.record({
    kind: fc.constant('field'),
    record: fc.constantFrom(...RECORDS),
    which: fc.nat(20),
    offset: fc.integer({ min: 4, max: 56 }),
    width: fc.constantFrom(2, 4, 8),
    value: hostileNumber,
  }),
);

export const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });

type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

/** The bytes with the changes made; `other` is what splices come from. */
export function mutate(bytes: Uint8Array, changes: readonly Mutation[], other: Uint8Array = bytes): Buffer {
  let result = Buffer.from(bytes);
  for (const change of changes) if (result.length > 0) result = changed(result, change, other);
  return result;
}

function changed(bytes: Buffer<ArrayBuffer>, change: Mutation, other: Uint8Array): Buffer<ArrayBuffer> {
  if ('record' in change) {
    const places: number[] = [];
    for (let at = bytes.indexOf(change.record, 0, 'latin1'); at >= 0; ) {
      places.push(at);
      at = bytes.indexOf(change.record, at + 1, 'latin1');
    }
    if (places.length > 0)
      writeNumber(bytes, places[change.which % places.length] + change.offset, change.width, change.value);
    return bytes;
  }
  const at = Math.floor(change.at * bytes.length);
  const [before, block, after] = [
    bytes.subarray(0, at),
    bytes.subarray(at, at + change.length),
    bytes.subarray(at + change.length),
  ];
  const to = Math.floor(change.to * bytes.length);
  if (!('byte' in change)) {
    const from = Math.floor(change.to * other.length);
    return Buffer.concat([before, other.subarray(from, from + change.length), after]);
  }
  switch (change.kind) {
    case 'flip':
      bytes[at] ^= 1 << (change.byte & 7);
      return bytes;
    case 'set':
      block.fill(change.byte);
      return bytes;
    case 'insert':
      return Buffer.concat([before, Buffer.alloc(change.length, change.byte), block, after]);
    case 'delete':
      return Buffer.concat([before, after]);
    case 'truncate':
      return before;
    case 'repeat':
      return Buffer.concat([before, block, ...Array.from({ length: change.byte & 15 }, () => block), after]);
    case 'move':
      return Buffer.concat([bytes.subarray(0, to), block, bytes.subarray(to)]);
    default:
      return bytes.fill(change.byte, Math.max(0, bytes.length - Math.ceil(change.at * 300)), bytes.length);
  }
}

function writeNumber(bytes: Buffer, at: number, width: number, value: number): void {
  if (at + width > bytes.length) return;
  if (width === 8) bytes.writeBigUInt64LE(BigInt(value), at);
  else bytes.writeUIntLE(value % 2 ** (8 * width), at, width);
}

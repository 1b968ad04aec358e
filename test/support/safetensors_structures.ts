/** @file Arbitrary safetensors files in which the header may lie. */
import fc from 'fast-check';
import { hostileNumber, seldom } from './file_mutations.js';

const lie = seldom(hostileNumber);

const entry = fc.record({
  name: fc.oneof(
    { weight: 8, arbitrary: fc.string({ minLength: 2, maxLength: 6 }) },
    fc.constantFrom('a', '\\u0061', '__proto__', '__metadata__'),
  ),
  dtype: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom('F32', 'F16', 'BF16', 'U8', 'I64') },
    fc.constantFrom('F8', '', 'constructor'),
  ),
  shape: fc.oneof(
    { weight: 30, arbitrary: fc.array(fc.nat(3), { maxLength: 3 }) },
    fc.array(hostileNumber, { maxLength: 3 }),
  ),
  begin: lie,
  end: lie,
  field: seldom(fc.constantFrom('"dtype":"F32",', '"x":[[[[[[[[[[[]]]]]]]]]]],', '"shape":null,')),
});

const WIDTHS: Record<string, number> = { F32: 4, F16: 2, BF16: 2, U8: 1, I64: 8 };

export const safetensorsFile = fc
  .record({
    entries: fc.array(entry, { maxLength: 6 }),
    metadata: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('', '"__metadata__":{"format":"pt"},') },
      fc.constantFrom('"__metadata__":{"stmixer.crc32":"00000000"},', '"__metadata__":[],'),
    ),
    padding: fc.oneof({ weight: 8, arbitrary: fc.constantFrom('', '   ', '\n') }, fc.constantFrom('}', '\0')),
    headerLength: lie,
    dataLength: lie,
  })
  .map(({ entries, metadata, padding, headerLength, dataLength }) => {
    let at = 0;
    const described = entries.map(({ name, dtype, shape, begin, end, field }) => {
      const size = shape.reduce((product, extent) => product * extent, WIDTHS[dtype] ?? 1);
      const start = at;
      if (size < 1e6) at += size;
      const offsets = JSON.stringify([begin ?? start, end ?? start + size]);
      const quoted = name.includes('\\u') ? `"${name}"` : JSON.stringify(name);
      return `${quoted}:{${field ?? ''}"dtype":"${dtype}","shape":${JSON.stringify(shape)},"data_offsets":${offsets}}`;
    });
    const text = `{${metadata}${described.join(',')}}`.replace(',}', '}') + padding;
    const header = Buffer.from(text);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(headerLength ?? header.length));
    return Buffer.concat([length, header, Buffer.alloc(Math.min(dataLength ?? at, 1 << 20))]);
  });

/** @file Tests of checksums and of the framing. */
import { describe, expect, it } from 'vitest';
import { crc32c, frameRecord } from './records.js';

const bytes = (value: (i: number) => number, length = 32) => Uint8Array.from({ length }, (_, i) => value(i));

describe('crc32c', () => {
  it.each([
    ['32 zeros', bytes(() => 0), 0x8a9136aa],
    ['32 ones', bytes(() => 0xff), 0x62a8ab43],
    ['0 to 31', bytes((i) => i), 0x46dd794e],
    ['31 to 0', bytes((i) => 31 - i), 0x113fdb5c],
    [
      'a SCSI Read (10) command',
      Buffer.from(
        '01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000',
        'hex',
      ),
      0xd9963a56,
    ],
    ['the digits 1 to 9', Buffer.from('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(0), 0],
  ])('gives the value of RFC 3720 for %s', (_, data, crc) => {
    expect(crc32c(data)).toBe(crc);
  });
});

describe('frameRecord', () => {
  it("gives the bytes of TensorBoard's own writer", () => {
    const data = Buffer.from('09000000000000f83f1a0d627261696e2e4576656e743a32', 'hex');
    expect(Buffer.from(frameRecord(data)).toString('hex')).toBe(
      '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c',
    );
  });
});

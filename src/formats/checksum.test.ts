/** @file Tests of the checksum, Node's and our own. */
import { expect, test } from 'vitest';
import { crc32, crc32Portable } from './checksum.js';

test.each([crc32, crc32Portable])('computes the known value, also of empty data and in pieces', (sum) => {
  const data = Buffer.from('123456789');
  expect(sum(data)).toBe(0xcbf43926);
  expect(sum(Buffer.alloc(0))).toBe(0);
  expect(sum(data.subarray(4), sum(data.subarray(0, 4)))).toBe(0xcbf43926);
});

test('computes the same value in our code and in zlib', () => {
  const data = Uint8Array.from({ length: 1000 }, (_, i) => (i * i) >> 3);
  expect(crc32Portable(data)).toBe(crc32(data));
});

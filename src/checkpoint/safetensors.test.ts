/** @file Tests of the safetensors reader: what it takes and what it refuses. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorOf } from '../../test/checkpoint_files.js';
import { CheckpointError } from '../errors.js';
import { toFloat32 } from '../util/host_tensor.js';
import { readSafetensors } from './safetensors.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stmixer-safetensors-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(header: unknown, data: Uint8Array = new Uint8Array(0), headerBytes?: bigint): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerBytes ?? BigInt(text.length));
  const path = join(folder, 'x.safetensors');
  writeFileSync(path, Buffer.concat([length, text, data]));
  return path;
}

test('tensors in the order of the file', () => {
  const data = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  const path = fileOf(
    {
      __metadata__: { format: 'pt' },
      b: { dtype: 'F32', shape: [2], data_offsets: [4, 12] },
      a: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
      none: { dtype: 'I64', shape: [0, 3], data_offsets: [0, 0] },
    },
    data,
  );
  const tensors = readSafetensors(path);
  expect([...tensors.keys()]).toEqual(['b', 'a', 'none']);
  expect(Array.from(tensors.values(), (tensor) => Array.from(toFloat32(tensor)))).toEqual([[2, 3], [1], []]);
});

describe('refused', () => {
  const entry = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  const data = new Uint8Array(4);
  test.each<[string, () => string, RegExp]>([
    ['a header longer than the file', () => fileOf({}, data, 1000n), /header of 1000 bytes in a file of/],
    ['a header of 2^63 bytes', () => fileOf({}, data, 2n ** 63n), /header of/],
    ['no JSON', () => fileOf('{"a"', data), /not a JSON object/],
    ['a list', () => fileOf([], data), /not a JSON object/],
    ['null', () => fileOf('null', data), /not a JSON object/],
    ['an entry that is none', () => fileOf({ a: null }, data), /unknown type/],
    [
      'an unknown type',
      () => fileOf({ a: { ...entry, dtype: 'F8' } }, data),
      /"a" has the unknown type "F8"/,
    ],
    ['a type of Object', () => fileOf({ a: { ...entry, dtype: 'constructor' } }, data), /unknown type/],
    ['no shape', () => fileOf({ a: { ...entry, shape: 1 } }, data), /impossible shape/],
    ['a negative shape', () => fileOf({ a: { ...entry, shape: [-1] } }, data), /impossible shape/],
    ['no place', () => fileOf({ a: { ...entry, data_offsets: [0] } }, data), /no place/],
    ['a place of another size', () => fileOf({ a: { ...entry, shape: [2] } }, data), /does not fit/],
    ['an enormous shape', () => fileOf({ a: { ...entry, shape: [2 ** 50, 2 ** 50] } }, data), /does not fit/],
    ['missing data', () => fileOf({ a: entry }, data.subarray(1)), /is the file complete/],
  ])('%s', (_, make, message) => {
    const path = make();
    const error = errorOf(() => readSafetensors(path));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(path);
  });

  test('files that are too short or missing', () => {
    const path = join(folder, 'short.safetensors');
    writeFileSync(path, 'abc');
    expect(() => readSafetensors(path)).toThrow(/shorter than its header/);
    expect(() => readSafetensors(join(folder, 'none'))).toThrow(CheckpointError);
  });
});

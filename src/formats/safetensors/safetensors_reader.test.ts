/** @file Tests of the safetensors reader and writer: what they take, what is refused, checksums. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { errorOf } from '../../../test/support/checkpoint_files.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import {
  DTYPE_BYTES,
  type DType,
  float32Tensor,
  type HostTensor,
  piecesOf,
  sizeOf,
  toFloat32,
} from '../host_tensor.js';
import { verifyWeightFile } from '../weight_file.js';
import { CHECKSUMS, openSafetensors, readSafetensors } from './safetensors_reader.js';
import { writeSafetensors } from './safetensors_writer.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

function fileOf(header: unknown, data: Uint8Array = new Uint8Array(0), headerBytes?: bigint): string {
  const isText = typeof header === 'string' || Buffer.isBuffer(header);
  const text = Buffer.from(isText ? (header as string) : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerBytes ?? BigInt(text.length));
  const path = join(folder, 'x.safetensors');
  writeFileSync(path, Buffer.concat([length, text, data]));
  return path;
}

/** A tensor of each type, some without elements or axes. */
function someTensors(): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const [i, dtype] of (Object.keys(DTYPE_BYTES) as DType[]).entries()) {
    for (const shape of [[], [3], [2, 0], [2, 1 + i]]) {
      const bytes = Uint8Array.from({ length: sizeOf(shape) * DTYPE_BYTES[dtype] }, (_, at) => 7 * at + i);
      tensors.set(`${dtype} "${shape}"`, { dtype, shape, bytes: () => bytes });
    }
  }
  return tensors.set('__proto__', tensors.get('uint8 "3"')!).set('7', tensors.get('int8 "3"')!);
}

describe('a written file', () => {
  test('returns the same tensors, larger elements first, aligned, also in pieces', async () => {
    const path = join(folder, 'all.safetensors');
    const tensors = someTensors();
    await writeSafetensors(path, tensors);
    const { tensors: read, metadata, checked } = openSafetensors(path);
    expect(checked).toBe(true);
    expect(metadata.get('format')).toBe('pt');
    expect([...read.keys()].sort()).toEqual([...tensors.keys()].sort());
    const sizes = [...read.values()].map(({ dtype }) => DTYPE_BYTES[dtype]);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    for (const [name, { dtype, shape, bytes }] of tensors) {
      const tensor = read.get(name)!;
      expect([tensor.dtype, tensor.shape]).toEqual([dtype, shape]);
      expect(Buffer.from(tensor.bytes()).equals(bytes())).toBe(true);
      expect(Buffer.concat([...piecesOf(tensor)].map((piece) => Buffer.from(piece))).equals(bytes())).toBe(
        true,
      );
    }
    expect(readFileSync(path).readBigUInt64LE() % 8n).toBe(0n);
  });

  test('shows a change of any byte', async () => {
    const path = join(folder, 'small.safetensors');
    const w = float32Tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
    await writeSafetensors(
      path,
      new Map([
        ['w', w],
        ['b', { dtype: 'uint8', shape: [3], bytes: () => Uint8Array.of(1, 2, 3) }],
      ]),
    );
    const whole = readFileSync(path);
    verifyWeightFile(path);
    for (let at = 0; at < whole.length; at++) {
      for (const bit of [1, 0x20]) {
        const copy = Buffer.from(whole);
        copy[at] ^= bit;
        const changed = join(folder, 'changed.safetensors');
        writeFileSync(changed, copy);
        const error = problemOf(() => verifyWeightFile(changed));
        // Words of the metadata other than the checksums mean nothing.
        if (error === null)
          expect(whole.toString('latin1', at - 20, at + 20), `byte ${at}`).toMatch(/format|pt/);
        else expect(error).toBeInstanceOf(CheckpointError);
      }
    }
  });

  test('names damaged data and returns the other tensors', async () => {
    const path = join(folder, 'damaged.safetensors');
    const good = float32Tensor([1], Float32Array.of(5));
    await writeSafetensors(
      path,
      new Map([
        ['good', good],
        ['bad', float32Tensor([1], Float32Array.of(6))],
      ]),
    );
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(path, bytes);
    const tensors = readSafetensors(path);
    expect(toFloat32(tensors.get('good')!)).toEqual(Float32Array.of(5));
    for (const read of [() => tensors.get('bad')!.bytes(), () => [...piecesOf(tensors.get('bad')!)]]) {
      expect(read).toThrow(`${path}: damaged: the data of "bad" do not match their checksum`);
    }
    expect(() => verifyWeightFile(path)).toThrow(`${path}: damaged: not what its checksum says: bad`);
  });

  test('cannot hold a tensor whose size contradicts its shape, or one with the name of the metadata', async () => {
    const path = join(folder, 'refused.safetensors');
    const wrong: HostTensor = { dtype: 'float32', shape: [2], bytes: () => new Uint8Array(4) };
    await expect(writeSafetensors(path, new Map([['w', wrong]]))).rejects.toThrow(/"w" \[2\] has 4 bytes/);
    await expect(writeSafetensors(path, new Map([['__metadata__', wrong]]))).rejects.toThrow(CheckpointError);
    expect(existsSync(path)).toBe(false);
  });
});

function problemOf(work: () => void): unknown {
  try {
    work();
    return null;
  } catch (error) {
    return error;
  }
}

test('returns tensors in the order of the file', () => {
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

describe('a file that breaks the format', () => {
  const entry = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  const data = new Uint8Array(4);
  const data8 = new Uint8Array(8);
  const first = JSON.stringify(entry);
  test.each<[string, () => string, RegExp]>([
    ['a header longer than the file', () => fileOf({}, data, 1000n), /header of 1000 bytes in a file of/],
    ['a header of 2^63 bytes', () => fileOf({}, data, 2n ** 63n), /header of/],
    ['no JSON', () => fileOf('{"a"', data), /no JSON/],
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
    ['a name twice', () => fileOf(`{"a":${first},"a":${first}}`, data), /the name "a" twice/],
    ['a name twice, once escaped', () => fileOf(`{"a":${first},"\\u0061":${first}}`, data), /"a" twice/],
    ['a field twice', () => fileOf('{"a":{"dtype":"F32","dtype":"I32"}}', data), /"dtype" twice/],
    ['overlapping tensors', () => fileOf({ a: entry, b: entry }, data), /"b" overlaps the tensor before it/],
    [
      'a tensor within another',
      () =>
        fileOf(
          { a: { ...entry, shape: [2], data_offsets: [0, 8] }, b: { ...entry, data_offsets: [2, 6] } },
          data8,
        ),
      /"b" overlaps/,
    ],
    [
      'a hole between tensors',
      () => fileOf({ a: { ...entry, data_offsets: [4, 8] } }, data8),
      /4 bytes before "a" belong to no tensor/,
    ],
    ['trailing bytes', () => fileOf({ a: entry }, data8), /4 bytes at its end belong to no tensor/],
    [
      'offsets that run backwards',
      () => fileOf({ a: { ...entry, data_offsets: [4, 0] } }, data),
      /does not fit/,
    ],
    ['offsets beyond 2^53', () => fileOf(`{"a":${first.replace('4]', '1e400]')}}`, data), /no place/],
    ['a fraction', () => fileOf(`{"a":${first.replace('4]', '4.0]')}}`, data), /no place/],
    ['metadata that is no object', () => fileOf({ __metadata__: 1 }), /__metadata__ is no object/],
    ['metadata that is no text', () => fileOf({ __metadata__: { a: 1 } }), /"a" of its __metadata__/],
    ['deep nesting', () => fileOf('['.repeat(1_000_000)), /nested too deep/],
    ['an endless string', () => fileOf(`{"${'\\"'.repeat(500_000)}`), /string without end/],
    ['no UTF-8', () => fileOf(Buffer.from([0x7b, 0x22, 0xff, 0x22])), /no UTF-8/],
    ['control characters in a name', () => fileOf('{"a\n":1}'), /must not have/],
    ['two values', () => fileOf('{}{}'), /more after its end/],
    ['checksums that are none', () => fileOf({ __metadata__: { [CHECKSUMS]: 'x' } }), /no list of checksums/],
    [
      'checksums of another file',
      () => fileOf({ __metadata__: { [CHECKSUMS]: '00000000' } }),
      /does not match/,
    ],
  ])('is refused if it has %s', (_, make, message) => {
    const path = make();
    const error = errorOf(() => readSafetensors(path));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(path);
  });

  test('is refused if it is too short or missing', () => {
    const path = join(folder, 'short.safetensors');
    writeFileSync(path, 'abc');
    expect(() => readSafetensors(path)).toThrow(/shorter than its header/);
    expect(() => readSafetensors(join(folder, 'none'))).toThrow(CheckpointError);
  });
});

/**
 * @file Mutations of real checkpoint files: reading gives a value or a CheckpointError, nothing else, and soon.
 * STMIXER_FUZZ_CASES sets the number of mutations of each kind.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pthOf, walk } from '../../test/checkpoint_files.js';
import { CheckpointError } from '../errors.js';
import { isHostTensor } from '../util/host_tensor.js';
import { FileSource } from './file_source.js';
import { readPth } from './pth_reader.js';
import { readSafetensors } from './safetensors.js';
import { findEntryData, readZipDirectory } from './zip_reader.js';

const CASES = Number(process.env.STMIXER_FUZZ_CASES ?? 150);
const GOLDEN = fileURLToPath(new URL('../../test/golden/checkpoints/', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stmixer-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const files = readdirSync(GOLDEN).filter((name) => name.endsWith('.pth'));
const legacy = files.filter((name) => readFileSync(join(GOLDEN, name))[0] === 0x80);
const zipped = files.filter((name) => !legacy.includes(name));

/** One change of a file; places are fractions of its length, or counted from its end, where the directory is. */
const mutation = fc.oneof(
  fc.record({
    kind: fc.constantFrom('set', 'insert', 'delete', 'truncate', 'copy'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
    length: fc.integer({ min: 1, max: 16 }),
  }),
  fc.record({
    kind: fc.constant('end'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
    length: fc.integer({ min: 1, max: 8 }),
  }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(bytes: Buffer, changes: readonly Mutation[]): Buffer {
  let result = Buffer.from(bytes);
  for (const { kind, at, byte, length } of changes) {
    const place = Math.floor(at * (result.length - 1));
    if (kind === 'set') result.fill(byte, place, Math.min(place + length, result.length));
    else if (kind === 'end')
      result.fill(byte, Math.max(0, result.length - Math.floor(at * 300)), result.length);
    else if (kind === 'truncate') result = result.subarray(0, place);
    else if (kind === 'delete')
      result = Buffer.concat([result.subarray(0, place), result.subarray(place + length)]);
    else {
      const added = kind === 'copy' ? result.subarray(place, place + length) : Buffer.alloc(length, byte);
      result = Buffer.concat([result.subarray(0, place), added, result.subarray(place)]);
    }
    if (result.length === 0) break;
  }
  return result;
}

const changes = fc.array(mutation, { minLength: 1, maxLength: 3 });

/** Reads everything there is to read. */
function expectValueOrError(bytes: Uint8Array, read: (path: string) => Parameters<typeof walk>[0]): void {
  const path = join(folder, 'x');
  writeFileSync(path, bytes);
  try {
    walk(read(path), (value) => {
      if (isHostTensor(value)) expect(value.bytes().length).toBeLessThanOrEqual(256 * 1024 * 1024);
    });
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.message).toContain(path);
  }
}

describe('mutated files', () => {
  test('zip files', () => {
    fc.assert(
      fc.property(fc.constantFrom(...zipped), changes, (name, how) => {
        expectValueOrError(mutate(readFileSync(join(GOLDEN, name)), how), readPth);
      }),
      { numRuns: CASES },
    );
  });

  test('legacy files', () => {
    fc.assert(
      fc.property(fc.constantFrom(...legacy), changes, (name, how) => {
        expectValueOrError(mutate(readFileSync(join(GOLDEN, name)), how), readPth);
      }),
      { numRuns: CASES },
    );
  });

  test('pickles in sound zip files', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...zipped), changes, async (name, how) => {
        const file = new FileSource(join(GOLDEN, name));
        const storages: Record<string, Uint8Array> = {};
        let pickle: Buffer = Buffer.alloc(0);
        for (const entry of readZipDirectory(file).values()) {
          const [, key] = /\/data\/(\w+)$/.exec(entry.name) ?? [];
          const data = () => file.read(findEntryData(file, entry), entry.size);
          if (key) storages[key] = data();
          else if (entry.name.endsWith('/data.pkl')) pickle = data();
        }
        expectValueOrError(await pthOf(mutate(pickle, how), storages), readPth);
      }),
      { numRuns: CASES },
    );
  });

  test('safetensors files', () => {
    const whole = readFileSync(join(GOLDEN, 'model_weights.safetensors'));
    fc.assert(
      fc.property(changes, fc.boolean(), (how, headerOnly) => {
        const header = Number(whole.readBigUInt64LE()) + 8;
        const bytes = headerOnly
          ? Buffer.concat([mutate(whole.subarray(0, header), how), whole.subarray(header)])
          : mutate(whole, how);
        expectValueOrError(bytes, (path) => new Map(readSafetensors(path)));
      }),
      { numRuns: CASES },
    );
  });

  test('there are files of each kind to start from', () => {
    expect(zipped.length).toBeGreaterThan(0);
    expect(legacy.length).toBeGreaterThan(0);
  });
});

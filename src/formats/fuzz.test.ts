/**
 * @file Fuzzing of the readers: whatever a file holds, reading and verifying it gives a value or a CheckpointError, soon,
 * in little memory, and writes nothing. 2,000 files; 100,000 where STMIXER_LONG_TESTS is set.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { pthOf, walk } from '../../test/support/checkpoint_files.js';
import { mutate, mutations } from '../../test/support/file_mutations.js';
import { WRITTEN_PICKLES } from '../../test/support/numpy_pickles.js';
import { pickleProgram } from '../../test/support/pickle_programs.js';
import { safetensorsFile } from '../../test/support/safetensors_structures.js';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { zipStructure } from '../../test/support/zip_structures.js';
import { CheckpointError } from '../errors.js';
import { FileSource } from '../files/file_source.js';
import { float32Tensor, type HostTensor, isHostTensor, piecesOf } from './host_tensor.js';
import { writePth } from './pth/pth_writer.js';
import { PyFloat, PyTuple } from './python/values.js';
import { writeSafetensors } from './safetensors/safetensors_writer.js';
import { readWeightFile, verifyWeightFile } from './weight_file.js';
import { findEntryData, readZipDirectory } from './zip/zip_reader.js';

const LONG = Boolean(process.env.STMIXER_LONG_TESTS);
const KINDS = 10;
const numRuns = (LONG ? 100_000 : 2_000) / KINDS;
const TIMEOUT_MS = LONG ? 3_600_000 : 60_000;

/** What only a bomb exceeds: processor time of one file, memory at any time. */
const MAX_SECONDS = 2;
const MAX_BYTES = 800 * 2 ** 20;

/** The small ones of the files that PyTorch wrote. */
const GOLDEN = fileURLToPath(new URL('../../test/golden/data/checkpoints/', import.meta.url));
const golden = new Map(
  readdirSync(GOLDEN)
    .filter((name) => name.endsWith('.pth'))
    .map((name) => [name, readFileSync(join(GOLDEN, name))] as const)
    .filter(([, bytes]) => bytes.length < 16_000),
);
const legacy = [...golden.keys()].filter((name) => golden.get(name)![0] === 0x80);
const zipped = [...golden.keys()].filter((name) => !legacy.includes(name));

let folder: string;
let path: string;
/** A file of each of our writers. */
let ourPth: Buffer;
let ourSafetensors: Buffer;
const foreignSafetensors = readFileSync(join(GOLDEN, 'model_weights.safetensors'));

beforeAll(async () => {
  folder = temporaryFolderOfFile();
  path = join(folder, 'x');
  const tensors = new Map<string, HostTensor>([
    ['a.weight', float32Tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))],
    ['b', { dtype: 'bool', shape: [3], bytes: () => Uint8Array.of(1, 0, 1) }],
  ]);
  const state = new Map([[0, { step: new PyFloat(3), exp_avg: tensors.get('a.weight')! }]]);
  await writePth(path, {
    model: tensors,
    optimizer: { state, betas: new PyTuple([0.5, 0.9]) },
    iteration: 3,
  });
  ourPth = readFileSync(path);
  await writeSafetensors(path, tensors);
  ourSafetensors = readFileSync(path);
});

/** Reads everything there is to read, in both ways, and verifies the file. Whether it is sound. */
function examine(bytes: Uint8Array): boolean {
  writeFileSync(path, bytes);
  const begin = process.cpuUsage();
  const unread = errorOf(() => {
    walk(readWeightFile(path), (value) => {
      if (!isHostTensor(value)) return;
      let length = 0;
      for (const piece of piecesOf(value)) length += piece.length;
      expect(value.bytes().length).toBe(length);
    });
  });
  const unsound = errorOf(() => verifyWeightFile(path));
  // What is verified can be read.
  if (unsound === null) expect(unread).toBeNull();
  const { user, system } = process.cpuUsage(begin);
  expect((user + system) / 1e6).toBeLessThan(MAX_SECONDS);
  const { heapUsed, external } = process.memoryUsage();
  expect(heapUsed + external).toBeLessThan(MAX_BYTES);
  expect(readdirSync(folder)).toEqual(['x']);
  return unsound === null;
}

function errorOf(work: () => void): CheckpointError | null {
  try {
    work();
    return null;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.message).toContain(path);
    return error;
  }
}

function fuzz<T>(
  kind: string,
  files: fc.Arbitrary<T>,
  make: (file: T) => Uint8Array | Promise<Uint8Array>,
): void {
  const body = async () => {
    const verdicts = { sound: 0, refused: 0 };
    const check = fc.asyncProperty(files, async (file) => {
      verdicts[examine(await make(file)) ? 'sound' : 'refused']++;
    });
    await fc.assert(check, { numRuns });
    // The changes must leave some files readable and damage others.
    expect(verdicts.sound).toBeGreaterThan(numRuns / 100);
    expect(verdicts.refused).toBeGreaterThan(numRuns / 100);
  };
  test(`reads or refuses ${kind}`, body, TIMEOUT_MS);
}

/** Draws names instead of bytes, so that a failure is readable. */
const from = (names: readonly string[]) =>
  fc.tuple(fc.constantFrom(...names), mutations, fc.constantFrom(...names));
const bytesOf = (name: string) => golden.get(name)!;

for (const [kind, names] of [
  ['changed zip files of PyTorch', zipped],
  ['changed legacy files', legacy],
] as const) {
  fuzz(kind, from(names), ([name, how, other]) => mutate(bytesOf(name), how, bytesOf(other)));
}
fuzz('changed zip files of ours', mutations, (how) => mutate(ourPth, how, bytesOf(zipped[0])));

/** The pickle and the storages of a zip file. */
function unpacked(bytes: Buffer): { pickle: Buffer; storages: Record<string, Uint8Array> } {
  writeFileSync(path, bytes);
  const file = new FileSource(path);
  const storages: Record<string, Uint8Array> = {};
  let pickle: Buffer = Buffer.alloc(0);
  for (const entry of readZipDirectory(file).values()) {
    const [, key] = /\/data\/(\w+)$/.exec(entry.name) ?? [];
    const data = () => file.read(findEntryData(file, entry), entry.size);
    if (key) storages[key] = data();
    else if (entry.name.endsWith('/data.pkl')) pickle = data();
  }
  return { pickle, storages };
}

fuzz('changed pickles in sound zip files', from(zipped), ([name, how, other]) => {
  const { pickle, storages } = unpacked(bytesOf(name));
  return pthOf(mutate(pickle, how, unpacked(bytesOf(other)).pickle), storages);
});

const STORAGES = { 0: new Uint8Array(16), 1: new Uint8Array(16) };
fuzz('pickles of any instructions in sound zip files', pickleProgram, (pickle) => pthOf(pickle, STORAGES));

fuzz('pickles of any instructions', pickleProgram, (bytes) => bytes);

const written = fc.constantFrom(...WRITTEN_PICKLES);
fuzz('changed pickles of arrays', fc.tuple(written, mutations, written), ([pickle, how, other]) =>
  mutate(pickle.bytes, how, other.bytes),
);

fuzz('zip archives with false numbers', zipStructure, (bytes) => bytes);

fuzz(
  'changed safetensors files',
  fc.tuple(mutations, fc.boolean(), fc.boolean()),
  ([how, ours, headerOnly]) => {
    const bytes = ours ? ourSafetensors : foreignSafetensors;
    const header = headerOnly ? 8 + Number(bytes.readBigUInt64LE()) : bytes.length;
    return Buffer.concat([mutate(bytes.subarray(0, header), how), bytes.subarray(header)]);
  },
);

fuzz('safetensors files with false numbers', safetensorsFile, (bytes) => bytes);

test('accepts every file that the changes start from', () => {
  expect(zipped.length).toBeGreaterThan(2);
  expect(legacy.length).toBeGreaterThan(0);
  const pickles = WRITTEN_PICKLES.map(({ bytes }) => bytes);
  for (const bytes of [...golden.values(), ...pickles, ourPth, ourSafetensors, foreignSafetensors]) {
    writeFileSync(path, bytes);
    verifyWeightFile(path);
  }
});

/** @file Files that mean harm: each attack by name ends in a CheckpointError, soon, with little memory, and runs nothing. */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  errorOf,
  int,
  pickleOf,
  pthOf,
  tensorPickle,
  text,
  walk,
  zipOf,
} from '../../test/support/checkpoint_files.js';
import { type ArraySpec, arrayPickle, dtypePickle, pushed } from '../../test/support/numpy_pickles.js';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { convertWeightFile } from '../checkpoint/convert.js';
import { inspectCheckpoint } from '../cli/inspect_checkpoint.js';
import { CheckpointError } from '../errors.js';
import type { HostTensor } from './host_tensor.js';
import { NumpyArray } from './numpy/array.js';
import { readPickle } from './pickle/pickle_file.js';
import { namedTensors } from './pickle/walk_values.js';
import { readPth } from './pth/pth_reader.js';
import type { PyOpaque, PyValue } from './python/values.js';
import { checkWeightFile, readWeightFile } from './weight_file.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

const MIB = 2 ** 20;

function fileWith(bytes: Uint8Array, name = 'x.pth'): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** What a call costs: no bomb stays below these, everything else does. */
function cheaply<T>(work: () => T): T {
  const memory = () => {
    const { rss, external } = process.memoryUsage();
    return Math.max(rss, external);
  };
  // Seconds of the processor: on a busy machine the clock says little.
  const [before, begin] = [memory(), process.cpuUsage()];
  try {
    return work();
  } finally {
    const { user, system } = process.cpuUsage(begin);
    expect((user + system) / 1e6).toBeLessThan(10);
    expect(memory() - before).toBeLessThan(800 * MIB);
  }
}

type Part = string | number[] | Uint8Array;

const pickled = async (...parts: Part[]) =>
  fileWith(await pthOf(pickleOf(...parts), { 0: new Uint8Array(8) }));
const one = tensorPickle({ length: 2, size: [2], stride: [1] });

async function expectRefused(path: string, message: RegExp, read: (path: string) => unknown = readPth) {
  const error = errorOf(() => cheaply(() => read(path)));
  expect(error).toBeInstanceOf(CheckpointError);
  expect(error.message).toMatch(message);
  expect(error.message).toContain(path);
}

const repeat = (count: number, ...parts: Part[]) => {
  const piece = pickleOf(...parts);
  return Buffer.alloc(count * piece.length, piece);
};
const length4 = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];

describe('a hostile pickle', () => {
  test('is read as data, even if it calls os.system', async () => {
    const marker = join(folder, 'executed');
    const command = `touch ${marker}`;
    const calls: Part[][] = [
      ['cos\nsystem\n(', text(command), 'tR'],
      [text('os'), text('system'), [0x93], '(', text(command), 'tR'],
      ['c__builtin__\nexec\n(', text(`open(${JSON.stringify(marker)}, "w")`), 'tR'],
      ['(', text(command), 'ios\nsystem\n'],
      // Behind a tensor's own machinery.
      ['ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nN(', text(command), 'tNtR'],
      ['ccollections\nOrderedDict\n)R}', text('__reduce__'), 'cos\nsystem\nsb'],
    ];
    for (const parts of calls) {
      const path = await pickled(
        '}(',
        text('model'),
        '}',
        text('w'),
        one,
        's',
        text('extra'),
        ...parts,
        'u.',
      );
      const value = readPth(path) as Map<string, PyValue>;
      expect([...namedTensors(value).keys()]).toEqual(['model.w']);
      inspectCheckpoint(path, false);
      await convertWeightFile(path, join(folder, 'copy.pth'), { dtype: 'keep', weightsOnly: false });
      walk(readPth(join(folder, 'copy.pth')), (part) =>
        expect((part as PyOpaque | null)?.className).toBeUndefined(),
      );
    }
    expect(existsSync(marker)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp-'))).toEqual([]);
  });

  const MILLION = 1_000_000;
  const THOUSANDS = 200_000;
  const bigString = pickleOf('X', length4(MILLION), new Uint8Array(MILLION).fill(0x61));
  const bombs: [string, () => Part[], RegExp][] = [
    // Each of these is a few hundred KB or MB that would become GBs, or hours.
    [
      'a dict copied again and again',
      () => [
        '}(',
        ...numbered(20_000),
        'up0\n0',
        repeat(50_000, 'ccollections\nOrderedDict\ng0\n', [0x85], 'R'),
        '.',
      ],
      /too much memory/,
    ],
    [
      'a text encoded again and again',
      () => [
        bigString,
        'p0\n0',
        text('latin1'),
        'p1\n0',
        repeat(20_000, 'c_codecs\nencode\ng0\ng1\n', [0x86], 'R'),
        '.',
      ],
      /too much memory/,
    ],
    [
      'arguments copied again and again',
      () => ['(', repeat(THOUSANDS, 'N'), 'tp0\n0', repeat(20_000, 'ca\nb\ng0\n}', [0x92]), '.'],
      /too much memory/,
    ],
    [
      'a shape that is a long list, checked again and again',
      () => [
        '](',
        repeat(THOUSANDS, 'K', [1]),
        'ep0\n0',
        repeat(20_000, 'ctorch._utils\n_rebuild_tensor_v2\n(g0\nK', [0], 'g0\ng0\ntR'),
        '.',
      ],
      /too much memory/,
    ],
    [
      'class names of a megabyte',
      () => [bigString, 'p0\n0', repeat(5_000, 'g0\ng0\n', [0x93], ')R'), '.'],
      /too much memory/,
    ],
    ['duplicates and marks without end', () => [repeat(5.7 * MILLION, 'N2('), '.'], /too much memory/],
    ['a memo of everything', () => ['N', repeat(3.8 * MILLION, [0x94]), '.'], /too much memory/],
    ['memo indexes from all over', () => ['N', 'r', length4(2 ** 24), '.'], /memo index 16777216/],
    ['the last memo index', () => ['N', 'r', length4(-1), '.'], /memo index 4294967295/],
    ['a negative memo index', () => ['Np-1\n.'], /memo (index )?-1/],
    [
      'numbers that collide as keys',
      () => ['}(', ...Array.from({ length: 1001 }, (_, i) => pickleOf('F', `${i}.5\nN`)), 'u.'],
      /too many numbers as keys/,
    ],
    ['a text of 4 GB', () => ['X', length4(-1), 'abc.'], /ends in the middle/],
    ['a text of 2^64 bytes', () => [[0x8d], new Uint8Array(8).fill(255), 'a.'], /ends in the middle/],
    ['bytes of 2^64 bytes', () => [[0x8e], new Uint8Array(8).fill(255), 'a.'], /ends in the middle/],
    ['an integer of 4 GB', () => [[0x8b], length4(-1), 'a.'], /integer of 4294967295 bytes/],
  ];
  test.each(bombs)('is refused if it holds %s', async (_, parts, message) => {
    await expectRefused(await pickled(...parts()), message);
  });

  const more: typeof bombs = [
    [
      'a list of pairs made a dict again and again',
      () => [
        '](',
        repeat(20_000, 'K', [1], 'N', [0x86]),
        'ep0\n0',
        repeat(50_000, 'ccollections\nOrderedDict\ng0\n', [0x85], 'R'),
        '.',
      ],
      /too much memory/,
    ],
    ['duplicates alone', () => [']', repeat(17 * MILLION, '2'), '.'], /too much memory/],
    ['marks alone', () => [repeat(17 * MILLION, '('), '.'], /too much memory/],
    ['tuples of marks', () => [repeat(3.2 * MILLION, '(t'), '.'], /too much memory/],
  ];
  test.skipIf(!process.env.STMIXER_LONG_TESTS).each(more)(
    'is refused if it holds %s (long)',
    async (_, parts, message) => {
      await expectRefused(await pickled(...parts()), message);
    },
  );

  function numbered(count: number): Part[] {
    return Array.from({ length: count }, (_, i) => pickleOf('M', [i & 255, i >> 8], 'N'));
  }

  test('is read in bounded time if its lists contain the same list twice, at every level', async () => {
    const parts: Part[] = ['](', one, 'ep0\n'];
    for (let i = 1; i <= 100; i++) parts.push(`0](g${i - 1}\ng${i - 1}\nep${i}\n`);
    const path = await pickled('}(', text('model'), '}', text('w'), one, 's', text('laughs'), ...parts, 'u.');
    const tensors = cheaply(() => namedTensors(readPth(path)));
    expect(tensors.size).toBe(2);
    cheaply(() => inspectCheckpoint(path, true));
    cheaply(() => checkWeightFile(path));
    await convertWeightFile(path, join(folder, 'laughs.pth'), { dtype: 'keep', weightsOnly: false });
    expect(namedTensors(readPth(join(folder, 'laughs.pth'))).size).toBe(2);
  });

  test('is refused for a text that is too long for a string, in a sparse file', () => {
    const path = join(folder, 'sparse.pth');
    const head = pickleOf([
      0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
    ]);
    const start = pickleOf(head, [0x80, 2], 'M', [233, 3], '.', '}.', [0x8d], [0, 0, 0, 64, 0, 0, 0, 0]);
    const fd = openSync(path, 'w');
    writeSync(fd, start);
    ftruncateSync(fd, 2 ** 31);
    closeSync(fd);
    expect(() => cheaply(() => readPth(path))).toThrow(/too much memory/);
  });
});

describe('a hostile tensor', () => {
  test('keeps its shape if its list of sizes changes later', async () => {
    // The sizes [2] are remembered, and then get another item, of 2^31.
    const pickle = pickleOf(
      '(](K',
      [2],
      'ep0\n',
      'ctorch._utils\n_rebuild_tensor_v2\n((',
      text('storage'),
      'ctorch\nFloatStorage\n',
      text('0'),
      text('cpu'),
      int(2),
      'tQK',
      [0],
      'g0\n(K',
      [1],
      't',
      [0x89],
      'NtR',
      'g0\nJ',
      [255, 255, 255, 127],
      'a0t.',
    );
    const path = fileWith(await pthOf(pickle, { 0: new Uint8Array(8) }));
    const [tensor] = [...namedTensors(readPth(path)).values()];
    expect(tensor.shape).toEqual([2]);
    expect(tensor.bytes().length).toBe(8);
  });

  test.each<[string, Partial<Parameters<typeof tensorPickle>[0]>, RegExp]>([
    ['past the end of its storage', { offset: 1 }, /reaches beyond/],
    ['far past it', { offset: Number.MAX_SAFE_INTEGER }, /reaches beyond/],
    [
      'more elements than numbers go, and none',
      { size: [...new Array(40).fill(2 ** 50), 0], stride: new Array(41).fill(0) },
      /no valid shape/,
    ],
    ['strides that overflow', { size: [2, 2], stride: [2 ** 52, 2 ** 52] }, /reaches beyond/],
    ['a terabyte out of 4 bytes', { size: [2 ** 38], stride: [0] }, /would be/],
  ])('is refused if it claims %s', async (_, spec, message) => {
    await expectRefused(
      await pickled(tensorPickle({ length: 2, size: [2], stride: [1], ...spec }), '.'),
      message,
    );
  });

  test('is refused if many of them expand 4 bytes to 250 MiB each', async () => {
    const large = tensorPickle({ length: 2, size: [2 ** 16 * 1000], stride: [0] });
    await expectRefused(await pickled('(', repeat(10, large), 't.'), /claim more than 16 times/);
  });
});

describe('a hostile array', () => {
  const bare = (...parts: Part[]) => fileWith(pickleOf(...parts), 'x.pkl');
  const eight = pushed.bytes(new Uint8Array(8));
  const array = (spec: Partial<ArraySpec>) => arrayPickle({ code: 'f4', shape: [2], data: eight, ...spec });

  test.each<[string, Part[], RegExp]>([
    ['more elements than data', [array({ shape: [3] })], /shape \[3\] has 8 bytes instead of 12/],
    ['fewer elements than data', [array({ shape: [1] })], /has 8 bytes instead of 4/],
    ['a negative size', [array({ shape: [-2] })], /without a valid shape/],
    ['65 axes', [array({ shape: new Array(65).fill(1) })], /without a valid shape/],
    ['sizes that overflow', [array({ shape: new Array(40).fill(2 ** 31 - 1) })], /has 8 bytes instead of/],
    ['sizes that overflow, and 0', [array({ shape: [...new Array(40).fill(2 ** 31 - 1), 0] })], /instead of/],
    ['no data', [array({ data: 'N' })], /an array without data/],
    ['a list as its data', [array({ data: ']' })], /an array without data/],
    ['a text as its data', [array({ data: text('漢') })], /an array without data/],
    [
      'a long text as its data',
      [array({ shape: [2000], data: pickleOf('X', length4(8000), new Uint8Array(8000).fill(0xc4)) })],
      /the data of an array are a text/,
    ],
    [
      'a long text that ends within a character',
      [array({ shape: [2000], data: pickleOf('X', length4(8001), new Uint8Array(8000), [0xc3]) })],
      /the data of an array are a text/,
    ],
    ['data of 4 GB', [array({ data: pickleOf('T', length4(-1), 'abc') })], /bytes are missing/],
    ['data of 2^64 bytes', [array({ data: pickleOf([0x8e], new Uint8Array(8).fill(255)) })], /are missing/],
    ...[[1, 1], [0, 2], [0], []].map((axes): [string, Part[], RegExp] => [
      `axes in the order [${axes}]`,
      [
        'cnumpy.core.numeric\n_frombuffer\n(',
        ...[eight, dtypePickle('f4'), '(K', [1], 'K', [2], 't', text('K'), '('],
        ...axes.flatMap((axis): Part[] => ['K', [axis]]),
        'ttR',
      ],
      /without a valid order of its axes/,
    ]),
  ])('is refused if it has %s', async (_, parts, message) => {
    await expectRefused(bare(...parts, '.'), message, readPickle);
  });

  test('is refused if many of them share their data', async () => {
    const long = pushed.bytes(new Uint8Array(8_000_000));
    const first = array({ shape: [2_000_000], data: pickleOf(long, 'p7\n') });
    const more = repeat(200, array({ shape: [2_000_000], data: 'g7\n' }));
    await expectRefused(bare('](', first, more, 'e.'), /claim more than 16 times/, readPickle);
  });

  test('is refused if many of them share a text that was no array', async () => {
    const long = pickleOf('U', [1], 'aT', length4(MIB), new Uint8Array(MIB), 'p7\n');
    const more = repeat(500, array({ shape: [MIB / 4], data: 'g7\n' }));
    await expectRefused(bare('](', long, more, 'e.'), /too much memory/, readPickle);
  });

  test('is refused if a line has no end', async () => {
    await expectRefused(bare('V', new Uint8Array(80 * MIB).fill(0x61)), /a line has no end/, readPickle);
  });

  test('is inert if it holds objects, and runs nothing', () => {
    const marker = join(folder, 'executed');
    const call = pickleOf('](cos\nsystem\n(', text(`touch ${marker}`), 'tRe');
    const path = bare('}', text('a'), array({ code: 'O8', order: '|', shape: [1], data: call }), 's.');
    expect([...namedTensors(readPickle(path)).keys()]).toEqual([]);
    expect(existsSync(marker)).toBe(false);
  });

  test('may contain itself if it holds objects', () => {
    const inside = pickleOf('](g9\ne');
    const pickle = array({ code: 'O8', order: '|', shape: [1], data: inside });
    const start = pickle.indexOf('R(K') + 1;
    const value = readPickle(bare(pickle.subarray(0, start), 'p9\n', pickle.subarray(start), '.'));
    expect(value).toBeInstanceOf(NumpyArray);
  });
});

describe('a hostile zip archive', () => {
  const entries = () => ({
    'm/data.pkl': pickleOf(one, '.'),
    'm/data/0': new Uint8Array(8),
    'm/version': '3\n',
  });
  const central = (zip: Buffer, name: string) => zip.lastIndexOf(name) - 46;
  const local = (zip: Buffer, name: string) => zip.indexOf(name) - 30;

  test.each(['../x', 'm/../../x', '/etc/x', '\\x', 'm\\..\\x', 'C:/x', 'm/\0x'])(
    'is refused for an entry called %j',
    async (name) => {
      await expectRefused(fileWith(await zipOf({ ...entries(), [name]: 'x' })), /is no name for an entry/);
    },
  );

  test.each<[string, (zip: Buffer) => unknown, RegExp]>([
    [
      'an entry within another',
      (zip) => {
        zip.writeUInt32LE(local(zip, 'm/data.pkl'), central(zip, 'm/data/0') + 42);
      },
      /overlaps/,
    ],
    [
      'two entries in one place',
      (zip) => {
        zip.writeUInt32LE(local(zip, 'm/data/0'), central(zip, 'm/version') + 42);
      },
      /overlaps/,
    ],
    [
      'data that reach into the next entry',
      (zip) => {
        zip.writeUInt16LE(60, local(zip, 'm/data/0') + 28 + 0);
        zip.writeUInt16LE(0xff, local(zip, 'm/data/0') + 28);
      },
      /not where the directory says/,
    ],
    [
      'another name at its place than in the directory',
      (zip) => {
        zip.write('m/data/9', local(zip, 'm/data/0') + 30);
      },
      /not where the directory says/,
    ],
    [
      'fewer entries than there are',
      (zip) => {
        count(zip, 2);
      },
      /more than the 2 entries/,
    ],
    [
      'more entries than there are',
      (zip) => {
        count(zip, 4);
      },
      /entry 4 of 4 .* is broken/,
    ],
    [
      'a compressed entry',
      (zip) => {
        zip.writeUInt16LE(8, central(zip, 'm/data/0') + 10);
      },
      /compressed or encrypted/,
    ],
    [
      'a wrong checksum',
      (zip) => {
        zip[central(zip, 'm/data/0') + 16] ^= 1;
      },
      /do not match their checksum/,
    ],
    [
      'a second end in the comment of the first',
      (zip) => {
        const end = Buffer.from(zip.subarray(-22));
        zip.writeUInt16LE(end.length, zip.length - 2);
        return Buffer.concat([zip, end]);
      },
      /two ends/,
    ],
    [
      'something between directory and end',
      (zip) => Buffer.concat([zip.subarray(0, -98), Buffer.alloc(30), zip.subarray(-98)]),
      /zip64 directory is missing|does not end/,
    ],
  ])('is refused if it has %s', async (_, change, message) => {
    const zip = await zipOf(entries());
    const changed = change(zip);
    const read = (path: string) => (readPth(path) as HostTensor).bytes();
    await expectRefused(fileWith(changed instanceof Buffer ? changed : zip), message, read);
  });

  function count(zip: Buffer, entries: number): void {
    zip.writeBigUInt64LE(BigInt(entries), zip.length - 98 + 32);
    zip.writeUInt16LE(entries, zip.length - 22 + 10);
  }

  test('is refused for a second pickle', async () => {
    const zip = await zipOf({ ...entries(), 'n/data.pkl': pickleOf('N.') });
    await expectRefused(fileWith(zip), /holds both m\/data\.pkl and n\/data\.pkl/);
  });
});

describe('a hostile file', () => {
  test('is refused if it is a legacy file that lists a storage twice', () => {
    const head = pickleOf(
      [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
      'M',
      [233, 3],
      '.}.',
    );
    const data = pickleOf([2, 0, 0, 0, 0, 0, 0, 0], new Uint8Array(8));
    const path = fileWith(pickleOf(head, one, '.](', text('0'), text('0'), 'e.', data, data));
    expect(() => readPth(path)).toThrow(/storage 0 is listed twice/);
  });

  test('is read in bounded time if it is a safetensors header of 300,000 tensors', async () => {
    const entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
    const header = Buffer.from(`{${Array.from({ length: 300_000 }, (_, i) => `"${i}":${entry}`).join(',')}}`);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    await expectRefused(fileWith(Buffer.concat([size, header])), /too many values/, readWeightFile);
  });
});

/** @file Tests of the unpickler: every instruction, known callables, and pickles that mean harm. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { errorOf, pickleOf, plain, text, walk } from '../../../test/support/checkpoint_files.js';
import { dtypePickle } from '../../../test/support/numpy_pickles.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { CheckpointError } from '../../errors.js';
import { FileSource } from '../../files/file_source.js';
import { ByteReader } from '../byte_reader.js';
import { PyOpaque, type PyValue } from '../python/values.js';
import { MAX_NESTING } from './nesting.js';
import { unpickle } from './unpickler.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

type Part = string | number[] | Uint8Array;

function load(...parts: Part[]): PyValue {
  const path = join(folder, 'x.pkl');
  writeFileSync(path, pickleOf(...parts));
  const file = new FileSource(path);
  const reader = new ByteReader(file, 0, file.size);
  return unpickle(reader, (id) => new PyOpaque('persistent', [id]));
}

const doubleOf = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
};

describe('a pickle', () => {
  const cases: [string, Part[], unknown][] = [
    ['None, True, False', ['(N', [0x88, 0x89], 't.'], { tuple: [null, true, false] }],
    ['BININT', ['J', [0xfe, 0xff, 0xff, 0xff], '.'], -2],
    ['BININT1', ['K', [200], '.'], 200],
    ['BININT2', ['M', [1, 2], '.'], 513],
    ['LONG1 of no bytes', [[0x8a, 0], '.'], 0],
    ['LONG1, short', [[0x8a, 2, 0xff, 0x7f], '.'], 32767],
    ['LONG1, negative', [[0x8a, 1, 0x80], '.'], -128],
    ['LONG1, 64 bits', [[0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0x80], '.'], -(2n ** 63n)],
    ['LONG1, long but small', [[0x8a, 9, 5, 0, 0, 0, 0, 0, 0, 0, 0], '.'], 5],
    ['LONG4', [[0x8b, 2, 0, 0, 0, 1, 1], '.'], 257],
    ['INT', ['I-17\n.'], -17],
    ['INT as bool', ['(I01\nI00\nt.'], { tuple: [true, false] }],
    ['LONG', ['L36893488147419103232L\n.'], 2n ** 65n],
    ['BINFLOAT', ['G', doubleOf(-0.1), '.'], -0.1],
    ['FLOAT', ['(F1e-08\nFinf\nF-inf\nFnan\nt.'], { tuple: [1e-8, Infinity, -Infinity, Number.NaN] }],
    ['BINUNICODE', [text('é漢😀'), '.'], 'é漢😀'],
    ['SHORT_BINUNICODE', [[0x8c, 3], 'abc.'], 'abc'],
    ['BINUNICODE8', [[0x8d, 2, 0, 0, 0, 0, 0, 0, 0], 'ab.'], 'ab'],
    ['UNICODE', ['V\\u00e9\\U0001f600x\n.'], 'é😀x'],
    ['STRING', ["S'it\\'s\\n\\x41'\n."], "it's\nA"],
    ['BINSTRING', ['T', [2, 0, 0, 0], 'ab.'], 'ab'],
    ['SHORT_BINSTRING', ['U', [1], 'a.'], 'a'],
    ['BINBYTES', ['B', [2, 0, 0, 0, 0, 255], '.'], { bytes: [0, 255] }],
    ['SHORT_BINBYTES', ['C', [1, 7], '.'], { bytes: [7] }],
    ['BINBYTES8', [[0x8e, 1, 0, 0, 0, 0, 0, 0, 0, 9], '.'], { bytes: [9] }],
    ['BYTEARRAY8', [[0x96, 1, 0, 0, 0, 0, 0, 0, 0, 9], '.'], { bytes: [9] }],
    ['lists', ['](K', [1], 'K', [2], 'eK', [3], 'a.'], [1, 2, 3]],
    ['LIST', ['(NNl.'], [null, null]],
    [
      'tuples',
      ['()K', [1], [0x85], 'NN', [0x86], 'NNN', [0x87], 't.'],
      {
        tuple: [{ tuple: [] }, { tuple: [1] }, { tuple: [null, null] }, { tuple: [null, null, null] }],
      },
    ],
    [
      'dicts',
      ['}K', [1], 'Ns(', text('a'), [0x88], 'K', [1], [0x89], 'u.'],
      {
        dict: [
          [1, false],
          ['a', true],
        ],
      },
    ],
    ['DICT', ['(', text('a'), 'Nd.'], { dict: [['a', null]] }],
    ['POP, POP_MARK, DUP', ['(NN0(NN12t.'], { tuple: [null, null] }],
    ['FRAME and PROTO', [[0x80, 4, 0x95, 2, 0, 0, 0, 0, 0, 0, 0], 'N.'], null],
    ['BINPERSID', ['K', [1], 'Q.'], { className: 'persistent', args: [1], state: null, contents: null }],
    ['PERSID', ['Pabc\n.'], { className: 'persistent', args: ['abc'], state: null, contents: null }],
  ];
  test.each(cases)('loads %s', (_, parts, expected) => {
    expect(plain(load(...parts))).toEqual(expected);
  });

  test('returns the same object from the memo', () => {
    const [a, b, c, d] = load(
      '(]q',
      [7],
      'h',
      [7],
      'r',
      [0, 1, 0, 0],
      'j',
      [0, 1, 0, 0],
      'p5\ng5\nl.',
    ) as PyValue[];
    expect(a).toEqual([]);
    expect(b).toBe(a);
    expect(c).toBe(a);
    expect(d).toBe(a);
    const [e, f] = load([0x80, 4], '(]', [0x94], 'h', [0], 'l.') as PyValue[];
    expect(f).toBe(e);
  });

  test('keeps objects of unknown classes inert, with their arguments, attributes and items', () => {
    const made = { className: 'a.b.C', args: [], state: null, contents: null };
    expect(plain(load('ca.b\nC\n)', [0x81], '.'))).toEqual(made);
    expect(plain(load(text('a.b'), text('C'), [0x93], ')', [0x81], '.'))).toEqual(made);
    expect(plain(load('(ia.b\nC\n.'))).toEqual(made);
    expect(plain(load('(ca.b\nC\no.'))).toEqual(made);
    expect(plain(load('ca.b\nC\n)}', [0x92], '.'))).toEqual({ ...made, args: [{ dict: [] }] });
    expect(plain(load('ca.b\nC\n)', [0x81], '}', text('x'), 'K', [1], 'sb.'))).toEqual({
      ...made,
      state: { dict: [['x', 1]] },
    });
    expect(plain(load('ca.b\nC\n)', [0x81], '(K', [1], 'K', [2], 'e.'))).toEqual({
      ...made,
      contents: [1, 2],
    });
    expect(plain(load('ca.b\nC\n)', [0x81], 'K', [1], 'K', [2], 's.'))).toEqual({
      ...made,
      contents: { dict: [[1, 2]] },
    });
    expect(plain(load('ccopy_reg\n_reconstructor\n(ca.b\nC\nc__builtin__\nobject\nNtR.'))).toEqual(made);
    expect(plain(load([0x8f], '(K', [1], [0x90], '.'))).toMatchObject({
      className: 'builtins.set',
      contents: [1],
    });
    expect(plain(load('(K', [1], [0x91], '.'))).toMatchObject({
      className: 'builtins.frozenset',
      args: [[1]],
    });
  });

  test('may hold an inert object that contains itself', () => {
    const object = load('ca\nC\n)', [0x81], 'q', [0], '}', text('self'), 'h', [0], 'sb.') as PyOpaque;
    expect((object.state as Map<PyValue, PyValue>).get('self')).toBe(object);
    expect(plain(load('ctorch\nfloat32\n.'))).toMatchObject({ className: 'torch.float32' });
  });
});

describe('a call of a known function', () => {
  const cases: [string, Part[], unknown][] = [
    ['OrderedDict', ['ccollections\nOrderedDict\n)R(', text('a'), 'Nu}b.'], { dict: [['a', null]] }],
    [
      'OrderedDict of pairs',
      ['ccollections\nOrderedDict\n(](](', text('a'), 'NeetR', '.'],
      {
        dict: [['a', null]],
      },
    ],
    [
      'defaultdict',
      ['ccollections\ndefaultdict\n(c__builtin__\ndict\ntRK', [1], 'Ns.'],
      { dict: [[1, null]] },
    ],
    ['Counter', ['ccollections\nCounter\n(}K', [1], 'K', [2], 'stR.'], { dict: [[1, 2]] }],
    ['torch.Size', ['ctorch\nSize\n((K', [2], 'K', [3], 'ttR.'], { tuple: [2, 3] }],
    ['bytes of protocol 2', ['c_codecs\nencode\n(', text('\0ÿ'), text('latin1'), 'tR.'], { bytes: [0, 255] }],
    ['empty bytes', ['c__builtin__\nbytes\n)R.'], { bytes: [] }],
    ['bytearray', ['c__builtin__\nbytearray\n(', text('ÿ'), text('latin-1'), 'tR.'], { bytes: [255] }],
  ];
  test.each(cases)('returns a value: %s', (_, parts, expected) =>
    expect(plain(load(...parts))).toEqual(expected),
  );

  const scalar = (code: string, order: string, ...bytes: number[]) =>
    load('cnumpy.core.multiarray\nscalar\n(', dtypePickle(code, order), 'C', [bytes.length, ...bytes], 'tR.');

  test('converts numpy scalars to numbers', () => {
    expect(scalar('f8', '<', ...doubleOf(0.1).reverse())).toBe(0.1);
    expect(scalar('f8', '>', ...doubleOf(0.1))).toBe(0.1);
    expect(scalar('f4', '<', 0, 0, 0xc0, 0x3f)).toBe(1.5);
    expect(scalar('i8', '<', 254, 255, 255, 255, 255, 255, 255, 255)).toBe(-2);
    expect(scalar('u8', '<', 255, 255, 255, 255, 255, 255, 255, 255)).toBe(2n ** 64n - 1n);
    expect(scalar('i4', '<', 1, 1, 0, 0)).toBe(257);
    expect(scalar('u4', '<', 255, 255, 255, 255)).toBe(2 ** 32 - 1);
    expect(scalar('i2', '>', 1, 0)).toBe(256);
    expect(scalar('u2', '<', 0, 1)).toBe(256);
    expect(scalar('i1', '|', 255)).toBe(-1);
    expect(scalar('u1', '|', 255)).toBe(255);
    expect(scalar('b1', '|', 1)).toBe(true);
    expect(scalar('f8', '<', 1, 2)).toBeInstanceOf(PyOpaque);
    expect(scalar('c16', '<', ...new Array<number>(16).fill(0))).toBeInstanceOf(PyOpaque);
  });
});

describe('a hostile pickle', () => {
  const refused: [string, Part[], RegExp][] = [
    ['nothing', [''], /ends in the middle/],
    ['no end', ['N'], /ends in the middle/],
    ['STOP without a value', ['.'], /stack is empty/],
    ['a value below the mark', ['N(a.'], /stack is empty/],
    ['a missing mark', ['Nt.'], /mark is missing/],
    ['a memo that was never set', ['h', [3], '.'], /memo 3/],
    ['a memo index that is no number', ['gx\n.'], /memo NaN/],
    ['an unknown instruction', [[0xff], '.'], /0xff is no/],
    ['out-of-band buffers', [[0x97], '.'], /0x97 is no/],
    ['the extension registry', [[0x82, 1], '.'], /0x82 is no/],
    ['a future protocol', [[0x80, 6], 'N.'], /protocol 6/],
    ['a string longer than the file', ['X', [255, 255, 255, 255], 'abc.'], /ends in the middle/],
    ['a string of 2^63 bytes', [[0x8d, 255, 255, 255, 255, 255, 255, 255, 127], '.'], /ends in the middle/],
    ['an integer of 2 GB', [[0x8b, 0, 0, 0, 128], '.'], /integer of/],
    ['a decimal integer without end', ['L', '1'.repeat(5000), '\n.'], /an integer/],
    ['an integer that is none', ['I1x\n.'], /an integer/],
    ['a float that is none', ['Fconstructor\n.'], /a float/],
    ['a line without end', ['V', 'a'.repeat(1000)], /a line has no end/],
    ['a string without quotes', ['Sabc\n.'], /without quotes/],
    ['items for a dict', ['}(NNe.'], /no list/],
    ['entries for a list', ['](NNu.'], /no dict/],
    ['a key without a value', ['}(Nu.'], /a key without/],
    ['a list as a key', ['}]Ns.'], /as a key/],
    ['a call of a number', ['K', [1], ')R.'], /no function/],
    ['a call without arguments', ['ca\nb\nNR.'], /without arguments/],
    ['attributes of a class', ['ca\nb\n}b.'], /attributes/],
    ['attributes of a list', [']}b.'], /attributes/],
    ['a class without a name', ['NN', [0x93], '.'], /without a name/],
    ['a list in itself', [']q', [0], 'h', [0], 'a.'], /contains itself/],
    ['a list in itself through a dict', [']q', [0], '}Nh', [0], 'sa.'], /contains itself/],
    ['deep lists', [']'.repeat(MAX_NESTING + 1), 'a'.repeat(MAX_NESTING), '.'], /nest more than/],
    ['very deep lists', [']'.repeat(50_000), 'a'.repeat(49_999), '.'], /nest more than/],
    ['deep tuples', [')', new Uint8Array(50_000).fill(0x85), '.'], /nest more than/],
  ];
  test.each(refused)('is refused if it is %s', (_, parts, message) => {
    const error = errorOf(() => load(...parts));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/x\.pkl/);
  });

  test('is refused if its nesting grows from the outside in', () => {
    // Each list gets its only item after it is itself an item: l0 = [l1], l1 = [l2], …
    const parts: Part[] = [']p0\n'];
    for (let i = 1; i <= MAX_NESTING + 5; i++) parts.push(`g${i - 1}\n]p${i}\na0`);
    parts.push('.');
    expect(() => load(...parts)).toThrow(/nest more than/);
  });

  test('may nest to the maximum, and shared parts count once', () => {
    load(']'.repeat(MAX_NESTING), 'a'.repeat(MAX_NESTING - 1), '.');
    // 100 lists of twice the one before: 2^100 paths.
    const parts: Part[] = [']p0\n'];
    for (let i = 1; i <= 100; i++) parts.push(`0](g${i - 1}\ng${i - 1}\nep${i}\n`);
    expect(load(...parts, '.')).toHaveLength(2);
  });

  test('may nest calls in the arguments of a tensor subclass', () => {
    const open = 'ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nN(';
    const depth = 20_000;
    const value = load(open.repeat(depth), 'ttR'.repeat(depth), '.');
    expect(value).toBeInstanceOf(PyOpaque);
  });

  test('is refused for more values than memory should hold', () => {
    expect(() => load('N', 'q\0'.repeat(4_000_000), '.')).toThrow(/too much memory/);
  });

  test('runs no code', () => {
    const marker = join(folder, 'executed');
    const command = `touch ${marker}`;
    const calls: Part[][] = [
      ['cos\nsystem\n(', text(command), 'tR.'],
      ['cposix\nsystem\n(', text(command), 'tR.'],
      [text('os'), text('system'), [0x93], '(', text(command), 'tR.'],
      ['c__builtin__\neval\n(', text(`__import__("os").system("${command}")`), 'tR.'],
      ['(', text(command), 'ios\nsystem\n.'],
      ['(cos\nsystem\n', text(command), 'o.'],
      ['csubprocess\nPopen\n(', text(command), 't', [0x81], '.'],
      ['c__builtin__\ngetattr\n(c__builtin__\n__import__\n(', text('os'), 'tR', text('system'), 'tR.'],
    ];
    for (const parts of calls) {
      const value = load(...parts);
      walk(value, (item) => expect(['object', 'string']).toContain(typeof item));
      expect(value).toBeInstanceOf(PyOpaque);
    }
    // The result of such a call cannot be called either.
    expect(() => load('c__builtin__\ngetattr\n(NtR(', text(command), 'tR.')).toThrow(/no function/);
    expect(existsSync(marker)).toBe(false);
  });
});

/** @file Tests of reading and writing Python literals; the expected values are those of Python 3.11. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPythonLiteral, parsePythonLiteral } from './literals.js';
import { PyFloat, PyTuple, type PyValue } from './values.js';

const float = (value: number) => new PyFloat(value);
const tuple = (...items: PyValue[]) => new PyTuple(items);

describe('parsePythonLiteral', () => {
  it.each<[string, PyValue]>([
    ['(5, 8)', tuple(5, 8)],
    ['5, 8', tuple(5, 8)],
    ['5,', tuple(5)],
    ['(5,)', tuple(5)],
    ['(5)', 5],
    ['()', tuple()],
    ['[]', []],
    ['[1, (2, [3.0]), ]', [1, tuple(2, [float(3)])]],
    [
      "{'a': 1, 2: (None,)}",
      new Map<PyValue, PyValue>([
        ['a', 1],
        [2, tuple(null)],
      ]),
    ],
    ['{}', new Map()],
    ['1e-4', float(1e-4)],
    ['-1.5E+3', float(-1500)],
    ['.5', float(0.5)],
    ['5.', float(5)],
    ['00.5', float(0.5)],
    ['1_000', 1000],
    ['1_0.0_1', float(10.01)],
    ['0x1F', 31],
    ['0o17', 15],
    ['0b101', 5],
    ['00', 0],
    ['- 5', -5],
    ['+5', 5],
    ['9007199254740993', 9007199254740993n],
    ['1e400', float(Number.POSITIVE_INFINITY)],
    ['True', true],
    ['False', false],
    ['None', null],
    [" 'a' ", 'a'],
    ['"it\'s"', "it's"],
    ["'\\x41\\u00e9\\U0001F600\\101\\n\\t\\\\\\''", "Aé😀A\n\t\\'"],
    ["'\\q'", '\\q'],
    ["'a\\\nb'", 'ab'],
    ["r'\\n'", '\\n'],
    ["u'x'", 'x'],
    ["'''a\nb'''", 'a\nb'],
    ['\'a\' "b"', 'ab'],
    ["''", ''],
    ['5 # five', 5],
    ['(5, # five\n 8)\n', tuple(5, 8)],
  ])('reads %j', (text, value) => {
    expect(parsePythonLiteral(text)).toStrictEqual(value);
  });

  it.each([
    ...[
      '',
      ' ',
      'abc',
      'ava_v2.2',
      'a/b.pth',
      'true',
      'none',
      'inf',
      'nan',
      '--5',
      '-True',
      '1+2',
      '010',
      '1__0',
      '1_',
    ],
    ...[
      '0xg',
      '1e',
      '5 8',
      '(5 8)',
      '(5',
      '5)',
      '[1,,2]',
      ',',
      '(,)',
      '{1}',
      "{'a'}",
      '{1: }',
      "'a",
      "'a\nb'",
      "b'x'",
    ],
    ...[
      "f'x'",
      "'\\x4'",
      "'\\U00110000'",
      '1j',
      '...',
      '\\',
      'C:\\data',
      '(',
      '('.repeat(5000),
      '9'.repeat(5000),
    ],
  ])('takes %j as text', (text) => {
    expect(parsePythonLiteral(text)).toBeUndefined();
  });

  it('reads what formatPythonLiteral writes', () => {
    const leaf = fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n }),
      fc.bigInt({ max: -(2n ** 53n) }),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(float),
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
    );
    const value = fc.letrec<{ any: PyValue }>((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('any'), { maxLength: 4 }),
        fc.array(tie('any'), { maxLength: 4 }).map((items) => new PyTuple(items)),
        fc
          .array(fc.tuple(fc.string(), tie('any')), { maxLength: 3 })
          .map((items) => new Map<PyValue, PyValue>(items)),
      ),
    })).any;
    fc.assert(
      fc.property(value, (original) => {
        expect(parsePythonLiteral(formatPythonLiteral(original))).toStrictEqual(original);
      }),
    );
  });

  it('returns a value or text for any input, and never throws', () => {
    const text = fc.string({
      unit: fc.constantFrom(...'0123456789eE.-+_,()[]{}:\'"\\nxurN \t\n#TrueFalsNo'),
    });
    fc.assert(
      fc.property(text, (word) => {
        expect(() => parsePythonLiteral(word)).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});

describe('formatPythonLiteral', () => {
  it.each<[unknown, string]>([
    [float(1), '1.0'],
    [float(-0), '-0.0'],
    [float(1e-5), '1.0e-05'],
    [float(0.0001), '0.0001'],
    [float(1e16), '1.0e+16'],
    [float(1.5e300), '1.5e+300'],
    [1e20, '100000000000000000000'],
    [0.45, '0.45'],
    [tuple(1), '(1,)'],
    [[true, null], '[True, None]'],
    ["it's", '"it\'s"'],
    ['a\nb\x01\ud800', "'a\\nb\\x01\\ud800'"],
    [{ a: [1] }, "{'a': [1]}"],
    [float(Number.NaN), 'nan'],
  ])('writes %j', (value, text) => {
    expect(formatPythonLiteral(value)).toBe(text);
  });
});

/** @file Tests of reading YAML: PyYAML's scalars, line numbers, and files that are no mapping. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { PyFloat } from '../formats/python/values.js';
import { readYamlFile } from './yaml_file.js';
import { YamlMapping } from './yaml_mapping.js';

const { at } = temporaryFiles();

function read(text: string | Uint8Array) {
  const file = at('config.yaml');
  writeFileSync(file, text);
  return readYamlFile(file);
}

/** The entries as `path: [line, value]`, in the order of the file. */
function entries(text: string): [string, number, unknown][] {
  const result = read(text);
  if ('problem' in result) expect.fail(`${result.problem.origin.line}: ${result.problem.message}`);
  const list = (mapping: YamlMapping, prefix: string): [string, number, unknown][] =>
    mapping.entries.flatMap(({ key, line, value }) =>
      value instanceof YamlMapping
        ? [[prefix + key, line, 'mapping'] as [string, number, unknown], ...list(value, `${prefix}${key}.`)]
        : [[prefix + key, line, value] as [string, number, unknown]],
    );
  return list(result.mapping, '');
}

function problem(text: string | Uint8Array) {
  const result = read(text);
  if (!('problem' in result)) expect.fail('was read');
  return result.problem;
}

describe('scalars are read as PyYAML reads them', () => {
  it.each<[string, unknown]>([
    ['yes', true],
    ['Off', false],
    ['TRUE', true],
    ['y', 'y'],
    ['~', null],
    ['', null],
    ['Null', null],
    ['12', 12],
    ['-1_000', -1000],
    ['017', 15],
    ['08', '08'],
    ['0o17', '0o17'],
    ['0x1F', 31],
    ['0b11', 3],
    ['1:30', 90],
    ['99999999999999999999', 99999999999999999999n],
    ['1.0', new PyFloat(1)],
    ['1e-4', '1e-4'],
    ['1.0e-4', new PyFloat(1e-4)],
    ['1.5e4', '1.5e4'],
    ['.5', new PyFloat(0.5)],
    ['1_0.5', new PyFloat(10.5)],
    ['-1:30.5', new PyFloat(-90.5)],
    ['-.inf', new PyFloat(Number.NEGATIVE_INFINITY)],
    ['.nan', new PyFloat(Number.NaN)],
    ['"12"', '12'],
    ["'True'", 'True'],
    ['(5, 8)', '(5, 8)'],
    ['None', 'None'],
    ['2024-01-01', '2024-01-01'],
    ['[1, 2.0, a]', [1, new PyFloat(2), 'a']],
  ])('for %j', (text, value) => {
    expect(entries(`K: ${text}`)).toStrictEqual([['K', 1, value]]);
  });
});

describe('the line numbers of keys', () => {
  it('are right for nested keys in any layout', () => {
    const text = [
      '# a comment',
      '',
      'A:',
      '  B: 1',
      '',
      '  C:',
      '    D: [1,',
      '      2]',
      '    E:',
      '      text',
      '  "F": {G: 1,',
      '    H: 2}',
      'I: {}',
      '? J',
      ': 3',
    ].join('\n');
    const expected = [
      ['A', 3, 'mapping'],
      ['A.B', 4, 1],
      ['A.C', 6, 'mapping'],
      ['A.C.D', 7, [1, 2]],
      ['A.C.E', 9, 'text'],
      ['A.F', 11, 'mapping'],
      ['A.F.G', 11, 1],
      ['A.F.H', 12, 2],
      ['I', 13, 'mapping'],
      ['J', 14, 3],
    ];
    expect(entries(text)).toStrictEqual(expected);
    expect(entries(text.replaceAll('\n', '\r\n'))).toStrictEqual(expected);
    expect(entries(`\ufeff${text}`)).toStrictEqual(expected);
    expect(entries(`---\n${text}`)).toStrictEqual(
      expected.map(([key, line, value]) => [key, Number(line) + 1, value]),
    );
  });

  it('are right in a file that is one flow mapping', () => {
    expect(entries('\n{A: 1,\nB: {C: 2}}')).toStrictEqual([
      ['A', 2, 1],
      ['B', 3, 'mapping'],
      ['B.C', 3, 2],
    ]);
  });

  it('are right for both places of a repeated key', () => {
    expect(entries('A: 1\nB: 2\nA: 3')).toStrictEqual([
      ['A', 1, 1],
      ['B', 2, 2],
      ['A', 3, 3],
    ]);
  });

  it('are right for anchors, aliases and merged keys', () => {
    expect(entries('A: &a\n  X: 1\n  Y: 2\nB:\n  Y: 3\n  <<: *a\nC: *a\n&k K: 4')).toStrictEqual([
      ['A', 1, 'mapping'],
      ['A.X', 2, 1],
      ['A.Y', 3, 2],
      ['B', 4, 'mapping'],
      ['B.Y', 5, 3],
      ['B.X', 6, 1],
      ['C', 7, 'mapping'],
      ['C.X', 7, 1],
      ['C.Y', 7, 2],
      ['K', 8, 4],
    ]);
  });

  it('are those of the mapping if keys have no values', () => {
    expect(entries('A:\n  {X, Y: 1,\n  Z}')).toStrictEqual([
      ['A', 1, 'mapping'],
      ['A.X', 1, null],
      ['A.Y', 1, 1],
      ['A.Z', 1, null],
    ]);
  });

  it('are right for names that every object has', () => {
    expect(entries('__proto__: 1\nconstructor: 2')).toStrictEqual([
      ['__proto__', 1, 1],
      ['constructor', 2, 2],
    ]);
  });
});

describe('readYamlFile', () => {
  it.each<[string, string | Uint8Array, RegExp, number | undefined]>([
    ['empty', '', /empty/, undefined],
    ['comments only', '# nothing\n\n', /empty/, undefined],
    ['a list', '- a\n- b', /expected a mapping of sections .* found a list/, undefined],
    ['a word', 'hello', /found 'hello'/, undefined],
    ['a number', '1.5', /found 1\.5/, undefined],
    ['a broken line', 'A: 1\nB: [1,\nC: 2\n', /not valid YAML/, 4],
    ['a bad indentation', 'A:\n  B: 1\n C: 2', /not valid YAML: bad indentation/, 3],
    ['tabs', 'A:\n\tB: 1', /not valid YAML: tab characters/, 2],
    ['an unknown tag', 'A: !!python/object:os.system x', /not valid YAML: unknown tag/, 1],
    ['an unknown alias', 'A: *b', /not valid YAML: unidentified alias/, 1],
    ['two documents', 'A: 1\n---\nB: 2', /not valid YAML: expected a single document/, undefined],
    ['binary data', Uint8Array.of(0xff, 0x41, 0xfe, 0x42), /not a text file in UTF-8/, undefined],
    ['a zero byte', 'A: \0', /not valid YAML: null byte/, undefined],
    ['a large file', `A: ${'x'.repeat(1024 * 1024)}`, /larger than 1 MiB/, undefined],
    ['deep nesting', `A: ${'['.repeat(9000)}`, /nest/, 1],
    ['a value inside itself', 'A: &a [1, *a]', /an alias .* contains it/, undefined],
  ])('refuses %s', (_, text, message, line) => {
    const found = problem(text);
    expect(found.message).toMatch(message);
    if (line !== undefined) expect(found.origin.line).toBe(line);
  });

  it('refuses aliases that multiply', () => {
    const lines = ['A0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'];
    for (let i = 1; i < 12; i++)
      lines.push(
        `A${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(problem(lines.join('\n')).message).toMatch(/aliases .* expand to more than 100000 values/);
  });

  it('reports a missing file, a folder and an unreadable file', () => {
    const problemOf = (file: string) => {
      const result = readYamlFile(file);
      return 'problem' in result ? result.problem : expect.fail('was read');
    };
    expect(problemOf(at('none.yaml'))).toStrictEqual({
      origin: { source: 'file', file: at('none.yaml'), line: undefined },
      message: 'no such file',
    });
    writeFileSync(at('My.yaml'), '');
    expect(problemOf(at('my.yaml')).message).toBe(
      `no such file, but there is ${at('My.yaml')}, which differs only in letter case: write that name, or rename it`,
    );
    mkdirSync(at('sub'));
    expect(problemOf(at('sub')).message).toMatch(/is a directory/);
    expect(problemOf(at('sub', 'x\0')).message).toMatch(/cannot be read/);
    symlinkSync(at('loop'), at('loop'));
    expect(problemOf(at('loop')).message).toMatch(/cannot be read: .*ELOOP/);
  });
});

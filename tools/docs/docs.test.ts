/** @file Tests of the generated tables and of the search for dead references. */
import { mkdirSync } from 'node:fs';
import { Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { FIELDS } from '../../src/config/schema/index.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { configReference } from './config_reference.js';
import { fillTables, flagsTable } from './generated_tables.js';
import { deadReferences } from './references.js';

describe('configReference', () => {
  const table = configReference();

  it('has one row of four cells for each key', () => {
    const rows = table.split('\n').filter((line) => line.startsWith('| `'));
    const keys = rows.map((row) => {
      expect(row.split(/(?<!\\)\|/)).toHaveLength(6);
      return row.split('`')[1];
    });
    expect(keys.toSorted()).toEqual([...FIELDS.keys()].toSorted());
  });

  it('shows type, default and meaning', () => {
    expect(table).toContain(
      '| `SOLVER.GAMMA` | float > 0 | `0.1` | Factor on the learning rate at each epoch in STEPS. |',
    );
    expect(table).toContain('| `ViT.QK_SCALE` | float > 0 or None | `None` | ');
  });

  it('folds the keys without effect', () => {
    expect(table).toMatch(
      /\| `RESNET\.INPLACE_RELU` \| True or False \| `True` \| Overwrite the input of a ReLU\. \*No effect: it does not/,
    );
    expect(table.indexOf('RESNET.INPLACE_RELU')).toBeGreaterThan(table.indexOf('<details>'));
    expect(table.indexOf('## SOLVER')).toBeLessThan(table.indexOf('<details>'));
    expect(table.indexOf('DATA.TRAIN_MAX_SCALE')).toBeGreaterThan(table.indexOf('<details>'));
  });
});

describe('flagsTable', () => {
  it('shows arguments, flags, choices and defaults, and leaves out hidden flags', () => {
    const command = new Command('x')
      .argument('<in>', 'a file')
      .requiredOption('--out <folder>', 'where a | b')
      .option('--no-head', 'no head')
      .addOption(new Option('--kind <name>', 'kind').choices(['a', 'b']).default('a'))
      .addOption(new Option('--secret').hideHelp());
    expect(flagsTable(command).split('\n').slice(2)).toEqual([
      '| `<in>` | a file |  |',
      '| `--out <folder>` | where a \\| b | required |',
      '| `--no-head` | no head |  |',
      '| `--kind <name>` | kind (a, b) | `a` |',
    ]);
  });
});

describe('fillTables', () => {
  it('replaces the text between the markers, and nothing else', () => {
    const block = (text: string) =>
      `a\n<!-- generated: config-reference -->\n${text}<!-- /generated -->\nb\n`;
    const after = fillTables(block('old\n'));
    expect(after).toBe(block(`\n${configReference()}\n\n`));
    expect(fillTables(after)).toBe(after);
  });

  it('knows the flags of every command', () => {
    const page = fillTables('<!-- generated: flags data prepare -->\n<!-- /generated -->');
    expect(page).toContain('`--videos <folder>`');
  });

  it.each(['flags dance', 'flags data dance', 'weather'])('throws for an unknown table: %s', (name) => {
    expect(() => fillTables(`<!-- generated: ${name} -->\n<!-- /generated -->`)).toThrow(name);
  });
});

describe('deadReferences', () => {
  const { at, file } = temporaryFiles();

  function problemsOf(text: string): string[] {
    mkdirSync(at('src'));
    file('package.json', '{"scripts":{"docs":""}}');
    file('src/there.ts', '');
    file('OTHER.md', '# A heading: with `code`\n');
    return deadReferences(at(), 'README.md', text);
  }

  it.each([
    '[x](OTHER.md#a-heading-with-code) [y](https://example.org/gone) `src/there.ts` `there.ts`',
    'npm run docs',
    '`src/**/*.test.ts` `output/gone.ts x`',
    '```sh\ncat `src/gone.ts`\n```',
  ])('accepts what exists and what is not a path: %s', (text) => {
    expect(problemsOf(text)).toEqual([]);
  });

  it.each([
    ['[x](GONE.md)', 'README.md: the link to GONE.md leads nowhere'],
    ['[x](OTHER.md#gone)', 'README.md: OTHER.md#gone: the page has no heading of that name'],
    ['`src/gone.ts`', 'README.md: there is no file or folder src/gone.ts'],
    ['`gone.ts`', 'README.md: there is no file or folder gone.ts'],
    ['npm run gone', 'README.md: package.json has no script gone'],
  ])('names what does not exist: %s', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });
});

/** @file Tests of the table of keys for the README and of the script that writes it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configReference, insertReference } from './reference.js';
import { FIELDS } from './schema/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

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
      '| `SOLVER.GAMMA` | float > 0 | `0.1` | Factor on the learning rate at each of STEPS. |',
    );
    expect(table).toContain('| `ViT.QK_SCALE` | float > 0 or None | `None` | ');
    expect(table).toMatch(/\| `RESNET\.DEPTH` \| int ≥ 1 \| `50` \| Layers\. \*No effect: only ResNet/);
    expect(table.indexOf('**RESNET**')).toBeGreaterThan(table.indexOf('<details>'));
    expect(table.indexOf('**SOLVER**')).toBeLessThan(table.indexOf('<details>'));
  });
});

describe('insertReference', () => {
  it('replaces what stands between the markers, and only that', () => {
    const before = 'a\n<!-- config-reference -->\nold\n<!-- /config-reference -->\nb\n';
    const after = insertReference(before);
    expect(after).toBe(
      `a\n<!-- config-reference -->\n\n${configReference()}\n\n<!-- /config-reference -->\nb\n`,
    );
    expect(insertReference(after)).toBe(after);
  });

  it.each(['', '<!-- config-reference -->', '<!-- /config-reference --><!-- config-reference -->'])(
    'needs both markers: %j',
    (text) => {
      expect(() => insertReference(text)).toThrow('expected the lines');
    },
  );
});

describe('scripts/config-reference.ts', () => {
  it('writes, and tells a current file from another one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stmixer-reference-'));
    const file = join(folder, 'README.md');
    const run = (...words: string[]) =>
      spawnSync(process.execPath, ['--import', 'tsx', 'scripts/config-reference.ts', ...words], { cwd: ROOT })
        .status;
    try {
      writeFileSync(file, '<!-- config-reference --><!-- /config-reference -->');
      expect(run(file, '--check')).toBe(1);
      expect(run(file)).toBe(0);
      expect(readFileSync(file, 'utf8')).toContain(configReference());
      expect(run('--check', file)).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

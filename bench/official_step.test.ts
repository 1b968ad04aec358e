/** @file Tests of what bench/official_step.py brings along for the official code; they need Python, but no PyTorch. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const PYTHON = process.env.STMIXER_PYTHON ?? 'python3';
const cwd = fileURLToPath(new URL('.', import.meta.url));
const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };

/** Runs lines of Python in bench/; the last one gives the result. */
function python(...lines: string[]): unknown {
  const script = ['import json', ...lines.slice(0, -1), `print(json.dumps(${lines.at(-1)}))`].join('\n');
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', script], { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe.skipIf(spawnSync(PYTHON, ['--version']).status !== 0)('bench/official_step.py', () => {
  it('assigns rows to columns as cheaply as the best of all permutations', () => {
    const differences = python(
      'import itertools, official_imports, random',
      'random.seed(1)',
      'def difference(rows, columns, values):',
      '  cost = [[random.choice(values) for _ in range(columns)] for _ in range(rows)]',
      '  total = lambda chosen: sum(row[column] for row, column in zip(cost, chosen))',
      '  found = official_imports.assign_rows(cost)',
      '  assert len(set(found)) == rows',
      '  return total(found) - min(map(total, itertools.permutations(range(columns), rows)))',
      'ties, distinct = range(3), [0.37 * i - 20 for i in range(100)]',
      'sizes = [(0, 2), (1, 1), (1, 5), (2, 6), (3, 3), (4, 5)]',
      '[difference(*size, values) for size in sizes for values in (ties, distinct) for _ in range(5)]',
    ) as number[];
    expect(differences).toHaveLength(60);
    expect(Math.max(...differences.map(Math.abs))).toBeLessThan(1e-9);
  });

  it('sets the known keys of a configuration file and names the others', () => {
    const text = [
      '# A comment',
      'DATA:',
      '  SCALES: [256, 320]   # another one',
      '  NAMES: [train.csv, val.csv]',
      'ViT:',
      '  USE_CHECKPOINT: true',
      '  WEIGHT_DECAY: 1e-4',
      '  NEW: 1',
      'SOLVER:',
      '  STEPS: (5, 8)',
      '  METHOD: adamw',
    ].join('\\n');
    const result = python(
      'import official_config',
      'cfg = {"DATA": {"SCALES": [], "NAMES": []}, "SOLVER": {"STEPS": (), "METHOD": ""}}',
      'cfg["ViT"] = {"USE_CHECKPOINT": False, "WEIGHT_DECAY": 0, "DEPTH": 12}',
      `ignored = official_config.merge(cfg, official_config.parse_yaml("${text}"))`,
      '[cfg, ignored]',
    );
    expect(result).toEqual([
      {
        DATA: { SCALES: [256, 320], NAMES: ['train.csv', 'val.csv'] },
        ViT: { USE_CHECKPOINT: true, WEIGHT_DECAY: 1e-4, DEPTH: 12 },
        SOLVER: { STEPS: [5, 8], METHOD: 'adamw' },
      },
      ['ViT.NEW'],
    ]);
  });
});

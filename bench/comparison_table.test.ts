/** @file Tests of the tables of `npm run bench:compare`. */
import { describe, expect, it } from 'vitest';
import { CASES } from './cases.js';
import { busyTable, comparisonTable, type Measurement } from './comparison_table.js';
import type { Program, StepReport } from './programs.js';

const cases = CASES.filter(({ name }) => name === 'small');
const [{ title }] = cases;

function measured(program: Program, round: number, report: Partial<StepReport>): Measurement {
  const defaults = {
    engine: program,
    seconds: [1],
    part_seconds: { backbone: 0.5, neck: 0.25, decoder: 0.125, optimizer: 0.0625 },
    peak_bytes: 1.5e9,
    matmul_gflop_per_second: 120,
    parameters: 10,
  };
  return { case: 'small', program, round, report: { ...defaults, ...report } };
}

describe('comparisonTable', () => {
  it('divides medians and minima of all rounds by those of the better PyTorch', () => {
    const rows = comparisonTable(cases, [
      measured('stmixer', 1, { seconds: [3, 1, 1.5], javascript_seconds: 0.0102, peak_bytes: 1.8e9 }),
      measured('stmixer', 2, { seconds: [2, 1.4], javascript_seconds: 0.0098, peak_bytes: 1.9e9 }),
      measured('PyTorch, tuned', 1, { seconds: [2, 2, 2] }),
      measured('PyTorch, untuned', 1, { seconds: [3, 12.34, 11] }),
    ]).split('\n');
    expect(rows.slice(2)).toEqual([
      `| ${title} | stmixer | 1.50 (1.00) | 0.75 (0.50) | 0.50 | 0.25 | 0.13 | 0.063 | 10 ms | 1.90 GB | 120 |`,
      '|  | PyTorch, tuned | 2.00 (2.00) |  | 0.50 | 0.25 | 0.13 | 0.063 | – | 1.50 GB | 120 |',
      '|  | PyTorch, untuned | 11.0 (3.00) |  | 0.50 | 0.25 | 0.13 | 0.063 | – | 1.50 GB | 120 |',
    ]);
  });

  it('has no ratio if one side has no measurement', () => {
    const rows = comparisonTable(cases, [measured('stmixer', 1, {})]).split('\n');
    expect(rows[2]).toContain('| 1.00 (1.00) | – |');
    expect(rows[3]).toBe('|  | PyTorch, tuned | – |  | – | – | – | – | – | – | – |');
  });

  it('leaves out parts that a forward pass does not have', () => {
    const part_seconds = { backbone: 1, neck: 2, decoder: 3 };
    const rows = comparisonTable(cases, [measured('stmixer', 1, { part_seconds })]).split('\n');
    expect(rows[2]).toContain('| 1.00 | 2.00 | 3.00 | – |');
  });
});

describe('busyTable', () => {
  it('divides the disturbed median by the undisturbed one', () => {
    const rows = busyTable(cases, [
      measured('stmixer', 1, { seconds: [2, 2, 3] }),
      measured('stmixer, one core busy', 1, { seconds: [3, 3, 4] }),
    ]).split('\n');
    expect(rows).toEqual([
      '| case | undisturbed, s | one core busy, s | ratio |',
      '| --- | --- | --- | --- |',
      `| ${title} | 2.00 (2.00) | 3.00 (3.00) | 1.50 (1.50) |`,
    ]);
  });
});

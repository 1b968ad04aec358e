/** @file `stmixer engine check` on the cuda engine. */
import { expect, it } from 'vitest';
import { stmixerHere } from '../support/cli.js';

it('engine check finds nothing wrong on cuda, also in bfloat16 and without the libraries', async () => {
  const { code, stdout } = await stmixerHere(['engine', 'check', '--engine', 'cuda', '--json']);
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ ok: true, failures: [], warnings: [] });
  expect(code).toBe(0);
  const names = report.families.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['products in bfloat16', 'matrix products, own kernels']));
  // Products that were not rounded to bfloat16 would be exact to 1e-6.
  const rounded = report.families.find(({ name }: { name: string }) => name === 'products in bfloat16');
  expect(rounded.difference.norm).toBeGreaterThan(1e-4);
  expect(report.speed.rates.bfloat16.best).toBeGreaterThan(0);
  expect(report.speed.step.seconds).toBeGreaterThan(0);
  // Nothing that was made for the check is left.
  expect(report.memory.tensors).toBe(0);
});

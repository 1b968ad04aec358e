/** @file NaN in any weight or pixel ends in a loss or a gradient that is not finite: no kernel hides it. */
import { describe, expect, it } from 'vitest';
import type { Parameter } from '../../src/nn/module.js';
import { NonFiniteError } from '../../src/training/nonfinite/nonfinite.js';
import { stepRng, trainStep } from '../../src/training/step.js';
import { makeState, noiseBatch } from '../support/noise_batch.js';
import { tinyConfig } from '../support/tiny_config.js';

const CFG = tinyConfig({ 'SOLVER.BASE_LR': 1e-6 });
const state = makeState(CFG);

/** The first parameter of each kind: names that differ in their numbers only are of one kind. */
function kinds(): Map<string, Parameter> {
  const found = new Map<string, Parameter>();
  for (const [name, parameter] of state.model.namedParameters()) {
    const kind = name.replace(/\.\d+\./g, '.N.');
    if (!found.has(kind)) found.set(kind, parameter);
  }
  return found;
}

const step = (batch = noiseBatch(CFG, [2])) => trainStep(state, batch, { rng: stepRng(1, 1) });

it('is finite without NaN', async () => {
  const { total, gradNorm } = await step();
  expect([total, gradNorm].every(Number.isFinite)).toBe(true);
});

it('is noticed in a pixel', async () => {
  const batch = noiseBatch(CFG, [2]);
  batch.video[1234] = Number.NaN;
  await expect(step(batch)).rejects.toThrow(NonFiniteError);
});

describe.each([...kinds()])('%s', (_, parameter) => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY])('of %d is noticed', async (value) => {
    const content = parameter.value.dataSync().slice() as Float32Array;
    // Not the first element, which may be one that others do not share.
    parameter.set(content.with(content.length - 1, value));
    try {
      await expect(step()).rejects.toThrow(NonFiniteError);
    } finally {
      parameter.set(content);
    }
  });
});

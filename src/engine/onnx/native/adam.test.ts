import { beforeAll, describe, expect, it } from 'vitest';
import { runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';
import { ADAM_SCALARS, nameAdamScalars } from '../../kernel_contract.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

// The last size is more than one task.
describe.each([[[1]], [[7]], [[3, 16]], [[263, 251]]])('the update of a parameter %j', (shape) => {
  const numbers = Float32Array.of(0.99, 0.3, 0.9, 0.1, 0.98, 0.02, 1e-3, 0.05);
  const inputs = {
    weight: uniform(shape, 1),
    grad: uniform(shape, 2),
    exp_avg: uniform(shape, 3),
    exp_avg_sq: uniform(shape, 4, 0, 1),
    scalars: { shape: [ADAM_SCALARS.length], data: numbers },
  };

  it.each([true, false])('follows the formulas if decoupled is %s', (decoupled) => {
    const s = nameAdamScalars([...numbers]);
    const results = runKernel('AdamUpdate', inputs, { decoupled });
    for (const [i, w] of inputs.weight.data.entries()) {
      const slope = inputs.grad.data[i] + (decoupled ? 0 : s.l2 * w);
      const average = s.beta1 * inputs.exp_avg.data[i] + s.oneMinusBeta1 * slope;
      const averageSq = s.beta2 * inputs.exp_avg_sq.data[i] + s.oneMinusBeta2 * slope * slope;
      const change = (s.stepSize * average) / (Math.sqrt(averageSq) + s.eps);
      const wanted = [(decoupled ? s.decay * w : w) - change, average, averageSq];
      for (const [k, result] of results.entries()) {
        // One comparison for each number would take most of the test's time.
        if (!(Math.abs(result[i] - wanted[k]) < 1e-6)) expect([k, i, result[i]]).toEqual([k, i, wanted[k]]);
      }
    }
    expect(results.map(({ length }) => length)).toEqual(Array(3).fill(inputs.weight.data.length));
  });
});

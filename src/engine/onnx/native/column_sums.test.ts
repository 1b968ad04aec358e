import { beforeAll, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

// Layers of 256 rows and more are native. The last two sizes are more than one task.
it.each([
  [1, 1],
  [7, 3],
  [50, 33],
  [258, 7],
  [700, 95],
  [70_001, 1],
])('the gradient of the bias of a linear layer is the sum of %i rows of %i columns', (rows, columns) => {
  const dy = uniform([rows, columns], 1);
  const wanted = new Float64Array(columns);
  for (const [i, slope] of dy.data.entries()) wanted[i % columns] += slope;
  const inputs = { dy, x: uniform([rows, 1], 2), weight: uniform([columns, 1], 3) };
  const [pool, single] = (['pool', 'single'] as const).map(
    (threading) => runKernel('LinearGrad', inputs, {}, threading)[2],
  );
  expect(relativeError(pool, wanted)).toBeLessThan(1e-5);
  expect([...single]).toEqual([...pool]);
});

/** @file Gradients on a GPU are summed where they are, also those that are stored as bfloat16. Stand-ins; not run on GPUs. */
import { expect, it } from 'vitest';
import { GradientSum } from '../../src/distributed/gradient_sum.js';
import type { Reducer } from '../../src/distributed/reducer.js';
import type { DeviceMemory } from '../../src/engine/lazy/value.js';
import { numbersOf } from '../../src/engine/programs.js';
import { tf } from '../../src/engine/tfjs.js';
import { linear } from '../../src/nn/functional.js';
import { Parameter } from '../../src/nn/module.js';
import { GradientExchange } from '../../src/training/gradient_exchange.js';
import { startCudaOnCpu } from '../cuda_on_cpu/start.js';

await startCudaOnCpu({ precision: 'bfloat16', bfloat16Sizes: { minMultiplyAdds: 0, minElements: 0 } });

it('stores a gradient as float32 before it is summed', async () => {
  const summed: number[] = [];
  const reducer: Reducer<DeviceMemory> = {
    accepts: (place): place is DeviceMemory => typeof place === 'object' && place !== null && 'hold' in place,
    begin: (gradients) => summed.push(...gradients.map(({ length }) => length)),
    async finish() {},
    async settle() {},
    async close() {},
  };
  const parameters = [new Parameter([2, 8], () => {}), new Parameter([3], () => {})];
  // The results of linear layers are stored so.
  const narrow = tf.tidy(() => linear(tf.ones([2, 4]), tf.ones([8, 4]), tf.ones([8])));
  parameters[0].grad = narrow;
  parameters[1].grad = tf.tensor([1, 2, 3]);
  const [place] = await numbersOf([narrow]);
  expect(place).toBeNull();
  const sum = new GradientSum({ reducer, lengths: [16, 3], bucketBytes: 1000 });
  await new GradientExchange(sum, parameters).finish();
  expect(summed.sort()).toEqual([16, 3]);
  expect(parameters.map(({ grad }) => Array.from(grad?.dataSync() ?? []))).toEqual([
    new Array(16).fill(5),
    [1, 2, 3],
  ]);
});

/** @file The results of training do not depend on the order of blocks and threads, or on how late the GPU computes. */
import { expect, it, onTestFinished } from 'vitest';
import { smallTraining, startWith, steps } from './training.js';

const { standIn } = await startWith();

async function train(variables: Readonly<Record<string, string>>) {
  Object.assign(process.env, variables);
  standIn.readSettings();
  const training = smallTraining();
  const losses = await steps(training, 4);
  const fingerprint = training.fingerprint();
  training.dispose();
  return { losses, fingerprint };
}

it('gives the same bits in any order, at once and late', async () => {
  onTestFinished(() => {
    for (const name of ['CUDA_ON_CPU_SEED', 'CUDA_ON_CPU_QUEUE']) delete process.env[name];
    standIn.readSettings();
  });
  const expected = await train({ CUDA_ON_CPU_SEED: '0', CUDA_ON_CPU_QUEUE: '64' });
  for (const [seed, queue] of [
    ['1', '0'],
    ['2', '1'],
    ['3', '100000'],
  ])
    expect(await train({ CUDA_ON_CPU_SEED: seed, CUDA_ON_CPU_QUEUE: queue })).toEqual(expected);
});

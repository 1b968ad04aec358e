/** @file Training on a GPU: the losses of a CPU. Its bits and its memory are tested in test/e2e. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { builtProgram } from '../support/built.js';
import { TinyTraining, train } from '../support/tiny_training.js';

/** Losses of a training on a CPU, in another process: a process has one onnx engine. */
async function lossesOnCpu(steps: number): Promise<number[][]> {
  const env = { ...process.env, STMIXER_TEST_DEVICE: 'cpu' };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [builtProgram('tiny_training_process'), String(steps)],
    {
      env,
    },
  );
  return JSON.parse(stdout).losses;
}

it('has the losses of a CPU over 20 steps', async () => {
  const training = new TinyTraining();
  const [actual, expected] = await Promise.all([train(training, 20), lossesOnCpu(20)]);
  training.dispose();
  expect(actual).toHaveLength(20);
  for (const [step, losses] of expected.entries())
    for (const [i, loss] of losses.entries())
      expect(Math.abs(actual[step][i] - loss), `loss ${i} of step ${step}`).toBeLessThan(
        1e-4 * Math.abs(loss),
      );
});

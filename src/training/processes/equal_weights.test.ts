/** @file The check that all processes have the same weights. */
import { expect, it } from 'vitest';
import { inProcesses } from '../../../test/support/processes.js';
import { CommunicationError } from '../../errors.js';
import { Parameter } from '../../nn/module.js';
import { checkEqualWeights } from './equal_weights.js';

const zeros = () => {};

/** Parameters of a process, of which one number of `weight` may differ. */
function parametersOf(number: number): [string, Parameter][] {
  const made = [
    ['bias', new Parameter([2], zeros)],
    ['weight', new Parameter([2, 3], zeros)],
  ] as [string, Parameter][];
  made[0][1].set(Float32Array.of(1, 2));
  made[1][1].set(Float32Array.of(0, 1, 2, 3, 4, number));
  return made;
}

it('accepts equal weights', async () => {
  await inProcesses(3, (communicator) => checkEqualWeights(parametersOf(5), communicator));
});

it('names the process and the tensor that differ, in all processes', async () => {
  const errors = await inProcesses(3, async (communicator) => {
    const number = communicator.rank === 2 ? 5.0000005 : 5;
    return await checkEqualWeights(parametersOf(number), communicator).catch((error: unknown) => error);
  });
  for (const error of errors) {
    expect(error).toBeInstanceOf(CommunicationError);
    expect(`${error}`).toMatch(/process 2 on .+ has other weights than process 0 \(weight\)/);
  }
});

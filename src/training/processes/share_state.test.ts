/** @file The state of process 0 in all processes. */
import { expect, it } from 'vitest';
import { plain } from '../../../test/support/checkpoint_files.js';
import { inProcesses } from '../../../test/support/processes.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import { initializeParameters } from '../../nn/module.js';
import { TrainingState } from '../training_state.js';
import { shareState } from './share_state.js';

const cfg = tinyConfig({ 'SOLVER.OPTIMIZING_METHOD': 'adamw' });

/** A state after a step, with numbers that depend on the seed. */
async function stateOf(seed: number): Promise<TrainingState> {
  const state = TrainingState.build(cfg);
  initializeParameters(state.model, seed);
  for (const parameter of state.model.parameters()) parameter.grad = parameter.value.mul(seed);
  await state.optimizer.stepAndRelease();
  state.scheduler.step();
  [state.iteration, state.seed] = [seed, 10 * seed];
  state.criterion.classWeights.fill(seed);
  return state;
}

const contentOf = (state: TrainingState) => ({
  weights: plain(state.modelState()),
  optimizer: plain(state.optimizer.stateDict()),
  scheduler: plain(state.scheduler.stateDict()),
  iteration: state.iteration,
  seed: state.seed,
});

it('is copied: weights, class weights, optimizer, schedule, iteration and seed', async () => {
  const states = [await stateOf(3), await stateOf(4)];
  const expected = contentOf(states[0]);
  expect(contentOf(states[1])).not.toEqual(expected);
  const order = Int32Array.of(2, 0, 1);
  states[0].order = { identity: 77, positionOf: () => ({ pass: 5, batch: 1, order }) };
  const places = await inProcesses(2, (communicator) => shareState(states[communicator.rank], communicator));
  expect(contentOf(states[1])).toEqual(expected);
  expect(places[1]).toEqual({ identity: 77, order: { pass: 5, order } });
});

it('has no training data if process 0 has none', async () => {
  const states = [await stateOf(1), await stateOf(2)];
  const places = await inProcesses(2, (communicator) => shareState(states[communicator.rank], communicator));
  expect(places).toEqual([null, null]);
});

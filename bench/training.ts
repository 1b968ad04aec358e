/** @file A model with random weights and its training steps, for benchmarks. */
import type { Config } from '../src/config/index.js';
import type { Batch } from '../src/data/loading/collate.js';
import { SetCriterion } from '../src/loss/criterion.js';
import { Detector } from '../src/model/detector.js';
import { initializeParameters } from '../src/nn/module.js';
import { makeLrScheduler, makeOptimizer } from '../src/solver/index.js';
import type { TrainingState } from '../src/training/loop.js';
import { type StepOptions, stepRng, trainStep } from '../src/training/step.js';

export function makeTrainingState(config: Config): TrainingState {
  const model = new Detector(config);
  const optimizer = makeOptimizer(config, model);
  initializeParameters(model, 0);
  const criterion = new SetCriterion(config.MODEL.STM);
  return { model, criterion, optimizer, scheduler: makeLrScheduler(config, optimizer) };
}

/** Returns a function that runs one whole training step and resolves to its loss once the engine has finished. */
export function stepOf(state: TrainingState, options: StepOptions = {}): (batch: Batch) => Promise<number> {
  let step = 0;
  return async (batch) => {
    const { total } = await trainStep(state, batch, stepRng(0, step++), options);
    // Engines work asynchronously; reading a weight waits for the update.
    state.model.parameters()[0].value.dataSync();
    return total;
  };
}

export function makeTraining(config: Config, options: StepOptions = {}): (batch: Batch) => Promise<number> {
  return stepOf(makeTrainingState(config), options);
}

/** @file What the benchmarks of training share: a model with random weights, and its steps. */
import type { Config } from '../src/config/index.js';
import type { Batch } from '../src/data/collate.js';
import { SetCriterion } from '../src/loss/criterion.js';
import { Detector } from '../src/model/detector.js';
import { initializeParameters } from '../src/nn/module.js';
import { makeOptimizer } from '../src/solver/index.js';
import { type StepOptions, stepRng, trainStep } from '../src/training/step.js';

/** Returns a function that makes one whole training step, done when it resolves, and returns the loss. */
export function makeTraining(config: Config, options: StepOptions = {}): (batch: Batch) => Promise<number> {
  const model = new Detector(config);
  const state = {
    model,
    criterion: new SetCriterion(config.MODEL.STM),
    optimizer: makeOptimizer(config, model),
  };
  initializeParameters(model, 0);
  let step = 0;
  return async (batch) => {
    const { total } = await trainStep(state, batch, stepRng(0, step++), options);
    // Reading a weight waits for an engine that works on its own.
    model.parameters()[0].value.dataSync();
    return total;
  };
}

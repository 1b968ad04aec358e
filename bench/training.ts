/** @file A model with random weights and its training steps, for benchmarks. */
import type { Config } from '../src/config/index.js';
import type { Batch } from '../src/data/loading/collate.js';
import { detectBatch } from '../src/evaluation/detect_clips.js';
import { initializeParameters, type Parameter } from '../src/nn/module.js';
import { type StepOptions, stepRng, trainStep } from '../src/training/step.js';
import { TrainingState } from '../src/training/training_state.js';

export function makeTrainingState(config: Config): TrainingState {
  const state = TrainingState.build(config);
  initializeParameters(state.model, 0);
  return state;
}

/** Returns a function that runs one whole training step and resolves to its loss once the engine has finished. */
export function stepOf(state: TrainingState, options: StepOptions = {}): (batch: Batch) => Promise<number> {
  let step = 0;
  const last = state.model.parameters().at(-1) as Parameter;
  return async (batch) => {
    const { total } = await trainStep(state, batch, { rng: stepRng(0, step++), ...options });
    // Engines work asynchronously; reading a weight, here a small one, waits for the update.
    await last.value.data();
    return total;
  };
}

/** Returns a function that runs the model on one batch as evaluation does, and resolves to the number of boxes found. */
export function detectionOf(
  { model }: TrainingState,
  { replay }: Pick<StepOptions, 'replay'>,
): (batch: Batch) => Promise<number> {
  model.train(false);
  const options = { personThreshold: model.config.MODEL.STM.PERSON_THRESHOLD, mirrored: false, replay };
  return async (batch) => {
    const clips = await detectBatch(model, batch, options);
    return clips.reduce((sum, { detections }) => sum + detections.boxes.length / 4, 0);
  };
}

export function makeTraining(config: Config, options: StepOptions = {}): (batch: Batch) => Promise<number> {
  return stepOf(makeTrainingState(config), options);
}

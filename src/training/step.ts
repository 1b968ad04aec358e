/** @file One training step: loss, gradients, update. */
import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/collate.js';
import { finishWork } from '../engine/ahead.js';
import { UserError } from '../errors.js';
import type { SetCriterion } from '../loss/criterion.js';
import type { Detector } from '../model/detector.js';
import { backward } from '../nn/autograd.js';
import type { Optimizer } from '../solver/index.js';
import type { Rng } from '../util/random.js';

/** The loss of one batch. */
export interface StepLosses {
  /** Weighted terms by name, in PyTorch's order. */
  terms: Map<string, number>;
  /** Their mean, which is what is minimised. */
  total: number;
}

/**
 * Computes the loss of a batch and sets the gradient of every trainable parameter; weights stay as they are. `rng` draws
 * drop path and dropout. Throws UserError where the loss is not finite, naming the terms and the clips.
 */
export function computeGradients(
  model: Detector,
  criterion: SetCriterion,
  batch: Batch,
  rng: Rng,
): StepLosses {
  const parameters = model.parameters().filter((parameter) => parameter.requiresGrad);
  const truths = batch.boxes.map((boxes, b) => ({
    boxes,
    labels: batch.labels[b],
    whwh: batch.whwh.subarray(4 * b, 4 * b + 4),
  }));
  let losses: StepLosses | undefined;
  const { value, grads } = backward(
    () => {
      const video = tf.tensor(batch.video, [...batch.shape]);
      const whwh = tf.tensor2d(batch.whwh, [truths.length, 4]);
      const { terms, total, loss } = criterion.losses(model.forward(video, whwh, rng), truths);
      losses = { terms, total };
      if (!Number.isFinite(total)) throw notFinite(terms, batch);
      return loss;
    },
    parameters.map((parameter) => parameter.value),
  );
  value.dispose();
  for (const [i, parameter] of parameters.entries()) {
    parameter.grad?.dispose();
    parameter.grad = grads[i];
  }
  return losses as StepLosses;
}

/** The whole step: gradients, the optimizer's update, and the end of all work on the engine. */
export async function trainStep(
  { model, criterion, optimizer }: { model: Detector; criterion: SetCriterion; optimizer: Optimizer },
  batch: Batch,
  rng: Rng,
): Promise<StepLosses> {
  const losses = computeGradients(model, criterion, batch, rng);
  optimizer.step();
  optimizer.zeroGrad();
  // An engine that works ahead does most of the step here, and the event loop lives meanwhile.
  await finishWork();
  return losses;
}

function notFinite(terms: Map<string, number>, batch: Batch): UserError {
  const bad = [...terms]
    .filter(([, value]) => !Number.isFinite(value))
    .map(([name, value]) => `${name} = ${value}`);
  const clips = batch.clips.map((clip) => `${clip.videoName} at second ${clip.second}`);
  return new UserError(
    `the loss is not finite (${bad.join(', ') || 'its sum overflowed'}) for ${clips.join('; ')}. ` +
      'The weights were not changed by this step. A lower SOLVER.BASE_LR or a longer warm-up usually helps.',
  );
}

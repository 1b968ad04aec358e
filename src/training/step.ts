/** @file One training step: loss, gradients, update. */
import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/loading/collate.js';
import { graphBreak, sync } from '../engine/lazy_hints.js';
import type { SetCriterion, Target } from '../loss/criterion.js';
import type { Detector } from '../model/detector.js';
import type { MaskSource, MicroBatch } from '../model/dropout.js';
import type { Parameter } from '../nn/module.js';
import { Tape } from '../nn/tape.js';
import type { Optimizer } from '../solver/index.js';
import { Rng } from '../util/random.js';
import { clipFactor, norms, totalNorm } from './grad_norm.js';
import { clipsOf, partsOf } from './micro_batch.js';
import { NonFiniteError } from './nonfinite/nonfinite.js';

/** The loss of one batch. */
export interface StepLosses {
  /** Weighted terms by name, in PyTorch's order. */
  terms: ReadonlyMap<string, number>;
  /** Their mean, which is what is minimised. */
  total: number;
  /** L2 norm of all gradients together, before clipping. */
  gradNorm: number;
}

export interface StepOptions {
  /** Clips whose activations are in memory together; all of the batch unless given. The results are the same. */
  readonly microBatchSize?: number;
  /** Gradients of a larger total norm are scaled down to it; 0: never. */
  readonly clipGradNorm?: number;
}

/** The stream of drop path and dropout of an iteration: a resumed run draws the same without any state to restore. */
export function stepRng(seed: number, iteration: number): Rng {
  return Rng.forName(seed, `step ${iteration}`);
}

/**
 * Computes the loss of a batch and sets the gradient of every trainable parameter; weights stay as they are. `rng` draws
 * drop path and dropout. The event loop lives meanwhile on an engine that works ahead. Throws NonFiniteError where the
 * loss or a gradient is not finite; what gradients there are then are left for a look at them.
 */
export async function computeGradients(
  model: Detector,
  criterion: SetCriterion,
  batch: Batch,
  rng: Rng,
  { microBatchSize = batch.shape[0] }: StepOptions = {},
): Promise<StepLosses> {
  const parameters = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
  zeroGradients(parameters);
  const targets = targetsOf(batch);
  const terms = new Map<string, number>();
  let total = 0;
  let gradNorm = 0;
  for (const part of partsOf(batch.shape[0], microBatchSize)) {
    const losses = await addGradients(model, criterion, batch, part, targets, rng, parameters);
    // Read part by part: what is bad is found where it came from, and the memory of each part is given back.
    gradNorm = await checkGradients(parameters, { ...losses, part, clips: clipsOf(batch, part).clips });
    for (const [name, term] of losses.terms) terms.set(name, (terms.get(name) ?? 0) + term);
    total += losses.total;
  }
  return { terms, total, gradNorm };
}

/** The whole step: gradients, clipping, the optimizer's update, and the end of all work on the engine. */
export async function trainStep(
  { model, criterion, optimizer }: { model: Detector; criterion: SetCriterion; optimizer: Optimizer },
  batch: Batch,
  rng: Rng,
  options: StepOptions = {},
): Promise<StepLosses> {
  const { clipGradNorm = 0 } = options;
  try {
    const losses = await computeGradients(model, criterion, batch, rng, options);
    optimizer.step(clipGradNorm > 0 ? { gradScale: clipFactor(losses.gradNorm, clipGradNorm) } : {});
    optimizer.zeroGrad();
    await sync();
    return losses;
  } finally {
    optimizer.zeroGrad();
  }
}

type NamedParameters = readonly (readonly [name: string, parameter: Parameter])[];

/** Adds the gradients of a part's share of the batch's loss to those that the parameters have. */
async function addGradients(
  model: Detector,
  criterion: SetCriterion,
  batch: Batch,
  part: MicroBatch,
  batchTargets: readonly Target[],
  rng: Rng,
  parameters: NamedParameters,
): Promise<{ terms: Map<string, number>; total: number }> {
  const { video, shape, whwh, clips } = clipsOf(batch, part);
  // The same stream for every part, each of which takes its own clips' numbers.
  const stream = Rng.fromState(rng.getState());
  const masks: MaskSource = { uniform: () => stream.uniform(), microBatch: part };
  const tape = new Tape(() =>
    criterion.gather(model.forward(tf.tensor(video, [...shape]), tf.tensor2d(whwh, [part.count, 4]), masks)),
  );
  try {
    const { value } = tape;
    const predictions = (await value.data()) as Float32Array;
    const targets = batchTargets.slice(part.first, part.first + part.count);
    const { terms, total, notFinite, gradient } = criterion.evaluate(
      predictions,
      value.shape,
      targets,
      batchTargets,
    );
    if (!Number.isFinite(total)) {
      const blamed = notFinite.length > 0 ? notFinite.map((b) => clips[b]) : clips;
      throw new NonFiniteError({
        what: 'loss',
        part,
        terms,
        total,
        parameters: [],
        numParameters: parameters.length,
        clips: blamed.filter((clip) => clip !== undefined),
      });
    }
    const dy = tf.tensor(gradient, value.shape);
    const grads = tape.backward(
      dy,
      parameters.map(([, parameter]) => parameter.value),
      parameters.map(([, parameter]) => parameter.grad),
    );
    dy.dispose();
    for (const [i, [, parameter]] of parameters.entries()) parameter.grad = grads[i];
    return { terms, total };
  } finally {
    tape.dispose();
  }
}

/** The total norm of the gradients. Throws NonFiniteError, which tells `facts`, where one is not finite. */
async function checkGradients(
  parameters: NamedParameters,
  facts: Pick<NonFiniteError['facts'], 'part' | 'terms' | 'total' | 'clips'>,
): Promise<number> {
  const withGradient = parameters.flatMap(([name, { grad }]) => (grad ? [{ name, grad }] : []));
  // Apart from the backward pass, so that clips of another size find the same graph.
  graphBreak('optimizer');
  const sizes = await norms(withGradient.map(({ grad }) => grad));
  const bad = withGradient.filter((_, i) => !Number.isFinite(sizes[i]));
  if (bad.length > 0) {
    const names = bad.map(({ name }) => name);
    throw new NonFiniteError({
      what: 'gradients',
      ...facts,
      parameters: names,
      numParameters: withGradient.length,
    });
  }
  return totalNorm(sizes);
}

function zeroGradients(parameters: NamedParameters): void {
  for (const [, parameter] of parameters) {
    parameter.grad?.dispose();
    parameter.grad = null;
  }
}

function targetsOf({ boxes, labels, whwh }: Batch): Target[] {
  return boxes.map((own, b) => ({ boxes: own, labels: labels[b], whwh: whwh.subarray(4 * b, 4 * b + 4) }));
}

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
import { clipFactor, gradNorms, totalNorm } from './grad_norm.js';
import { microBatches, sliceBatch } from './micro_batch.js';
import { type NonFinite, NonFiniteError } from './nonfinite/nonfinite.js';

/** A model and its loss. */
export interface ModelAndLoss {
  readonly model: Detector;
  readonly criterion: SetCriterion;
}

/** Loss of one batch. */
export interface StepLosses {
  /** Weighted terms by name, in PyTorch's order. */
  readonly terms: ReadonlyMap<string, number>;
  /** Mean of the terms, which is minimised. */
  readonly total: number;
  /** L2 norm of all gradients together, before clipping. */
  readonly gradNorm: number;
}

export interface GradientOptions {
  /** Random numbers for drop path and dropout; by default those of seed 0. */
  readonly rng?: Rng;
  /** Clips whose activations are in memory together, by default all. The gradients are the same. */
  readonly microBatchSize?: number;
}

export interface StepOptions extends GradientOptions {
  /** Total norm to which larger gradients are scaled down; 0 = never. */
  readonly clipGradNorm?: number;
}

/** Random numbers of an iteration. They depend on nothing else, so a resumed run draws the same ones. */
export function stepRng(seed: number, iteration: number): Rng {
  return Rng.forName(seed, `step ${iteration}`);
}

/**
 * Computes the loss of a batch and sets the gradient of every trainable parameter; the weights stay as they are. On the
 * lazy engine this does not block the event loop. Throws NonFiniteError if the loss or a gradient is not finite; the
 * gradients computed so far are then kept for inspection.
 */
export async function computeGradients(
  { model, criterion }: ModelAndLoss,
  batch: Batch,
  { rng = new Rng(0), microBatchSize = batch.shape[0] }: GradientOptions = {},
): Promise<StepLosses> {
  const parameters = trainableParameters(model);
  zeroGradients(parameters);
  const step = { model, criterion, batch, targets: targetsOf(batch), rng, parameters };
  const terms = new Map<string, number>();
  let total = 0;
  let gradNorm = 0;
  for (const microBatch of microBatches(batch.shape[0], microBatchSize)) {
    const losses = await addGradients(step, microBatch);
    // Checked for each micro-batch, so that the error names its clips and its memory is released before the next one.
    gradNorm = await checkGradients(parameters, { ...losses, microBatch, clips: clipsOf(batch, microBatch) });
    for (const [name, term] of losses.terms) terms.set(name, (terms.get(name) ?? 0) + term);
    total += losses.total;
  }
  return { terms, total, gradNorm };
}

/**
 * Does a whole step: gradients, clipping, the optimizer's update. Resolves when the engine has done all of it. Throws
 * NonFiniteError, before the update, if the loss or a gradient is not finite.
 */
export async function trainStep(
  { optimizer, ...model }: ModelAndLoss & { readonly optimizer: Optimizer },
  batch: Batch,
  { clipGradNorm = 0, ...options }: StepOptions = {},
): Promise<StepLosses> {
  try {
    const losses = await computeGradients(model, batch, options);
    optimizer.step(clipGradNorm > 0 ? { gradScale: clipFactor(losses.gradNorm, clipGradNorm) } : {});
    // Releases the gradients before `sync` runs the update, so that it need not keep them.
    optimizer.zeroGrad();
    await sync();
    return losses;
  } finally {
    optimizer.zeroGrad();
  }
}

type NamedParameters = readonly (readonly [name: string, parameter: Parameter])[];

/** Data that all micro-batches of a step share. */
interface Step extends ModelAndLoss {
  readonly batch: Batch;
  /** Targets of all clips of the batch: the loss is normalised by their number. */
  readonly targets: readonly Target[];
  readonly rng: Rng;
  readonly parameters: NamedParameters;
}

/** Adds the gradients of a micro-batch's share of the loss to those of the parameters. */
async function addGradients(
  { model, criterion, batch, targets, rng, parameters }: Step,
  microBatch: MicroBatch,
): Promise<{ terms: Map<string, number>; total: number }> {
  const { video, shape, whwh } = sliceBatch(batch, microBatch);
  // Every micro-batch starts from the same state and takes the numbers of its own clips.
  const stream = Rng.fromState(rng.getState());
  const masks: MaskSource = { uniform: () => stream.uniform(), microBatch };
  const tape = new Tape(() => {
    const size = tf.tensor2d(whwh, [microBatch.count, 4]);
    return criterion.gather(model.forward(tf.tensor(video, [...shape]), size, masks));
  });
  try {
    const predictions = (await tape.value.data()) as Float32Array;
    const own = targets.slice(microBatch.first, microBatch.first + microBatch.count);
    const losses = criterion.evaluate(predictions, tape.value.shape, own, targets);
    checkLoss(losses, microBatch, { batch, numParameters: parameters.length });
    const dy = tf.tensor(losses.gradient, tape.value.shape);
    const grads = tape.backward(
      dy,
      parameters.map(([, parameter]) => parameter.value),
      parameters.map(([, parameter]) => parameter.grad),
    );
    dy.dispose();
    for (const [i, [, parameter]] of parameters.entries()) parameter.grad = grads[i];
    return losses;
  } finally {
    tape.dispose();
  }
}

/** Throws NonFiniteError if the loss is not finite. */
function checkLoss(
  { terms, total, notFinite }: ReturnType<SetCriterion['evaluate']>,
  microBatch: MicroBatch,
  { batch, numParameters }: { readonly batch: Batch; readonly numParameters: number },
): void {
  if (Number.isFinite(total)) return;
  const all = clipsOf(batch, microBatch);
  const blamed = notFinite.length > 0 ? notFinite.map((b) => all[b]) : all;
  const clips = blamed.filter((clip) => clip !== undefined);
  throw new NonFiniteError({ what: 'loss', microBatch, terms, total, parameters: [], numParameters, clips });
}

/** Returns the total norm of the gradients. Throws NonFiniteError, with `metadata`, if one is not finite. */
async function checkGradients(
  parameters: NamedParameters,
  metadata: Pick<NonFinite, 'microBatch' | 'terms' | 'total' | 'clips'>,
): Promise<number> {
  const withGradient = parameters.flatMap(([name, { grad }]) => (grad ? [{ name, grad }] : []));
  // Separate from the backward pass, so that clips of another size use the same graph.
  graphBreak('optimizer');
  const norms = await gradNorms(withGradient.map(({ grad }) => grad));
  const bad = withGradient.filter((_, i) => !Number.isFinite(norms[i]));
  if (bad.length > 0) {
    const names = bad.map(({ name }) => name);
    const numParameters = withGradient.length;
    throw new NonFiniteError({ what: 'gradients', ...metadata, parameters: names, numParameters });
  }
  return totalNorm(norms);
}

function trainableParameters(model: Detector): NamedParameters {
  return [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
}

function zeroGradients(parameters: NamedParameters): void {
  for (const [, parameter] of parameters) {
    parameter.grad?.dispose();
    parameter.grad = null;
  }
}

function clipsOf({ clips }: Batch, { first, count }: MicroBatch): Batch['clips'] {
  return clips.slice(first, first + count);
}

function targetsOf({ boxes, labels, whwh }: Batch): Target[] {
  return boxes.map((own, b) => ({ boxes: own, labels: labels[b], whwh: whwh.subarray(4 * b, 4 * b + 4) }));
}

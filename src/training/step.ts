/** @file One training step: loss, gradients, update. */
import { type Batch, sliceBatch } from '../data/loading/collate.js';
import type { Communicator } from '../distributed/communicator.js';
import type { GradientSum } from '../distributed/gradient_sum.js';
import type { SetCriterion, Target } from '../loss/criterion.js';
import type { Detector } from '../model/detector.js';
import type { MaskSource } from '../model/dropout.js';
import { type HostStatistics, trackStatistics } from '../nn/batch_statistics.js';
import type { Parameter } from '../nn/module.js';
import type { Optimizer } from '../solver/index.js';
import { Rng } from '../util/random.js';
import { clipFactor, normsOf, totalNorm } from './grad_norm.js';
import { GradientExchange } from './gradient_exchange.js';
import { beginPass } from './gradient_pass.js';
import { type MicroBatch, microBatches } from './micro_batch.js';
import { type NonFinite, NonFiniteError } from './nonfinite/nonfinite.js';
import { throwTogether } from './nonfinite/together.js';
import { ProcessNormExchange } from './processes/norm_exchange.js';

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

/** Losses of a step before its update. */
export interface ComputedLosses extends StepLosses {
  /** Statistics of each norm that uses those of the batch, and of each micro-batch. */
  readonly statistics: readonly HostStatistics[];
}

export interface GradientOptions {
  /** Random numbers for drop path and dropout; by default those of seed 0. */
  readonly rng?: Rng;
  /** Clips whose activations are in memory together, by default all. The gradients are the same. */
  readonly microBatchSize?: number;
  /**
   * Whether the engine may run steps of known shapes from captured scripts (ENGINE.REPLAY); default true. The results are the
   * same to the last bit.
   */
  readonly replay?: boolean;
  /** The processes that compute parts of the same batch; none by default. All of them get the same results. */
  readonly processes?: StepProcesses;
}

/** What connects the processes of a step. */
export interface StepProcesses {
  readonly communicator: Communicator;
  /** Another one of the same processes, for the statistics of batch norms. */
  readonly forNorms: Communicator;
  /** Sums the gradients of the parameters that are trained, in their order. */
  readonly sum: GradientSum;
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
 * Computes the loss of a batch and sets the gradient of every trainable parameter; the model stays as it is. On the
 * lazy engine this does not block the event loop. Throws NonFiniteError if the loss or a gradient is not finite; the
 * gradients computed so far are then kept for inspection.
 */
export async function computeGradients(
  { model, criterion }: ModelAndLoss,
  batch: Batch,
  options: GradientOptions = {},
): Promise<ComputedLosses> {
  const { rng = new Rng(0), microBatchSize = batch.shape[0], replay = true, processes = null } = options;
  const all = [...model.namedParameters()];
  const parameters = all.filter(([, { requiresGrad }]) => requiresGrad);
  zeroGradients(parameters);
  const step = {
    model,
    criterion,
    batch,
    targets: targetsOf(batch),
    boxCounts: batch.whole?.boxCounts ?? batch.boxes.map(({ length }) => length / 4),
    rng,
    all: all.map(([, parameter]) => parameter),
    parameters,
    modes: model.modes(),
    replay,
    processes,
  };
  const terms = new Map<string, number>();
  let total = 0;
  let gradNorm = 0;
  const statistics: HostStatistics[] = [];
  const pieces = microBatches(batch, microBatchSize);
  for (const [i, microBatch] of pieces.entries()) {
    const isLast = i === pieces.length - 1;
    const { squares, statistics: found, ...losses } = await addGradients(step, microBatch, isLast);
    statistics.push(...found);
    // Checked for each micro-batch, so that the error names its clips and its memory is released before the next one.
    const metadata = { ...losses, microBatch, clips: clipsOf(batch, microBatch) };
    const { norm, nonFinite } = await measureGradients(parameters, squares, metadata);
    if (nonFinite && isLast && processes) await throwFromSum(nonFinite, step, processes);
    await throwTogether(nonFinite, processes?.communicator);
    gradNorm = norm;
    for (const [name, term] of losses.terms) terms.set(name, (terms.get(name) ?? 0) + term);
    total += losses.total;
  }
  if (processes) total = await addTerms(terms, total, processes.communicator);
  return { terms, total, gradNorm, statistics };
}

/** Adds the terms of the other processes, and returns the total of all. */
async function addTerms(
  terms: Map<string, number>,
  total: number,
  communicator: Communicator,
): Promise<number> {
  const sums = Float64Array.of(total, ...terms.values());
  await communicator.allReduce(sums, 'sum');
  for (const [i, name] of [...terms.keys()].entries()) terms.set(name, sums[i + 1]);
  return sums[0];
}

/**
 * Does a whole step: gradients, clipping, the optimizer's update, running statistics. Resolves when the engine has done all of
 * it. Throws NonFiniteError, before the update, if the loss or a gradient is not finite.
 */
export async function trainStep(
  { optimizer, ...model }: ModelAndLoss & { readonly optimizer: Optimizer },
  batch: Batch,
  { clipGradNorm = 0, ...options }: StepOptions = {},
): Promise<StepLosses> {
  try {
    const { statistics, ...losses } = await computeGradients(model, batch, options);
    const clipping = clipGradNorm > 0 ? { gradScale: clipFactor(losses.gradNorm, clipGradNorm) } : {};
    await optimizer.stepAndRelease({ ...clipping, replay: options.replay });
    trackStatistics(statistics);
    return losses;
  } finally {
    optimizer.zeroGrad();
  }
}

type NamedParameters = readonly (readonly [name: string, parameter: Parameter])[];

/** Data that all micro-batches of a step share. */
interface Step extends ModelAndLoss {
  readonly batch: Batch;
  readonly targets: readonly Target[];
  /** Number of boxes of each clip of the batch that the loss is normalised by. */
  readonly boxCounts: ArrayLike<number>;
  readonly rng: Rng;
  readonly all: readonly Parameter[];
  /** Those that are trained. */
  readonly parameters: NamedParameters;
  readonly modes: string;
  readonly replay: boolean;
  readonly processes: StepProcesses | null;
}

/**
 * Adds the gradients of a micro-batch's share of the loss to those of the parameters, and with the last one those of
 * the other processes.
 */
async function addGradients(
  { targets, boxCounts, rng, parameters, processes, ...step }: Step,
  microBatch: MicroBatch,
  isLast: boolean,
): Promise<{
  terms: Map<string, number>;
  total: number;
  statistics: readonly HostStatistics[];
  squares: ArrayLike<number>;
}> {
  // Every micro-batch starts from the same state and takes the numbers of its own clips.
  const stream = Rng.fromState(rng.getState());
  const masks: MaskSource = { uniform: () => stream.uniform(), clips: microBatch.inWhole };
  const { batch, criterion } = step;
  const trained = parameters.map(([, parameter]) => parameter);
  const pass = beginPass({
    ...step,
    batch: sliceBatch(batch, microBatch),
    masks,
    parameters: trained,
    exchange: isLast && processes ? new GradientExchange(processes.sum, trained) : null,
    norms: processes && new ProcessNormExchange(processes.forNorms),
  });
  try {
    const { content, shape, statistics } = await pass.forward();
    const own = targets.slice(microBatch.first, microBatch.first + microBatch.count);
    const losses = criterion.evaluate(content, shape, own, boxCounts);
    const nonFinite = badLoss(losses, microBatch, { batch, numParameters: parameters.length });
    await throwTogether(nonFinite, processes?.communicator);
    const { terms, total, gradient } = losses;
    return { terms, total, statistics, squares: await pass.backward(gradient) };
  } finally {
    pass.end();
  }
}

/**
 * Throws NonFiniteError for gradients that are not finite once they are summed over the processes. Computes the last
 * micro-batch again, to find the process whose part of the sum is not finite.
 */
async function throwFromSum(sum: NonFinite, step: Step, { communicator }: StepProcesses): Promise<never> {
  zeroGradients(step.parameters);
  const { squares } = await addGradients(step, sum.microBatch, false);
  const { nonFinite } = await measureGradients(step.parameters, squares, sum);
  await throwTogether(nonFinite, communicator);
  throw new NonFiniteError({ ...sum, clips: [], owner: null });
}

/** Describes a loss that is not finite; null if it is finite. */
function badLoss(
  { terms, total, notFinite }: ReturnType<SetCriterion['evaluate']>,
  microBatch: MicroBatch,
  { batch, numParameters }: { readonly batch: Batch; readonly numParameters: number },
): NonFinite | null {
  if (Number.isFinite(total)) return null;
  const all = clipsOf(batch, microBatch);
  const blamed = notFinite.length > 0 ? notFinite.map((b) => all[b]) : all;
  const clips = blamed.filter((clip) => clip !== undefined);
  return { what: 'loss', microBatch, terms, total, parameters: [], numParameters, clips };
}

/**
 * Returns the total norm of the gradients from their sums of squares, and describes those that are not finite, with
 * `metadata`.
 */
async function measureGradients(
  parameters: NamedParameters,
  squares: ArrayLike<number>,
  metadata: Pick<NonFinite, 'microBatch' | 'terms' | 'total' | 'clips'>,
): Promise<{ norm: number; nonFinite: NonFinite | null }> {
  const withGradient = parameters.flatMap(([name, { grad }]) => (grad ? [{ name, grad }] : []));
  const norms = await normsOf(
    withGradient.map(({ grad }) => grad),
    squares,
  );
  const bad = withGradient.filter((_, i) => !Number.isFinite(norms[i]));
  const names = bad.map(({ name }) => name);
  const numParameters = withGradient.length;
  return {
    norm: totalNorm(norms),
    nonFinite: bad.length > 0 ? { what: 'gradients', ...metadata, parameters: names, numParameters } : null,
  };
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

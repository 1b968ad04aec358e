/** @file Trains a tiny model for a few steps and compares losses, gradients and weights with PyTorch's. */
import type * as tf from '@tensorflow/tfjs';
import { configFromOverrides } from '../../config/index.js';
import { SetCriterion } from '../../loss/criterion.js';
import { Detector } from '../../model/detector.js';
import type { Parameter } from '../../nn/module.js';
import { makeOptimizer } from '../../solver/index.js';
import { computeGradients, type StepLosses, trainStep } from '../../training/step.js';
import { type ExpectedSteps, PRODUCTS, type Summaries, type Summary } from './expected.js';
import { clipsOf, fillParameters, uniform } from './formula.js';

/** A number that was compared. */
export interface Comparison {
  readonly name: string;
  readonly kind: 'losses' | 'gradient norms' | 'gradients' | 'weights';
  /** Relative error; infinite if a number is not finite. */
  readonly error: number;
}

/** Standard deviation of evenly distributed numbers from −½ to ½. */
const DEVIATION = Math.sqrt(1 / 12);

/**
 * Largest relative errors that are accepted; a correct engine has a fifth of them or less. A perturbation of all weights by 1e-6
 * changes losses and gradient norms by 1e-5, and the gradient of a parameter by 6e-5. `weights` is about the change of the
 * weights, which is so small beside them that the rounding of the weights shows.
 */
export const STEP_TOLERANCES: Readonly<Record<Comparison['kind'], number>> = {
  losses: 3e-5,
  'gradient norms': 1e-4,
  gradients: 5e-4,
  weights: 1e-2,
};

/** Everything that the steps computed. */
export interface StepsRun {
  readonly losses: readonly StepLosses[];
  /** By the names of the parameters. */
  readonly gradients: ReadonlyMap<string, Summary>;
  /** New weights minus initial ones; empty if fewer steps than `change_after` were made. */
  readonly change: ReadonlyMap<string, Summary>;
}

/** Trains on the current engine as `expected` says, by default for all steps. */
export async function runSteps(expected: ExpectedSteps, steps = expected.losses.length): Promise<StepsRun> {
  const config = configFromOverrides(expected.settings);
  const batch = clipsOf({ ...expected, frames: config.DATA.NUM_FRAMES });
  const model = new Detector(config);
  // Without a schedule, the learning rate is that of the settings.
  const optimizer = makeOptimizer(config, model);
  const state = { model, optimizer, criterion: new SetCriterion(config.MODEL.STM) };
  try {
    fillParameters(model);
    const named = [...model.namedParameters()];
    const start = await read(named, ({ value }) => value);
    const losses: StepLosses[] = [await computeGradients(state, batch)];
    const gradients = summaries(await read(named, ({ grad }) => grad));
    await optimizer.stepAndRelease();
    let change = new Map<string, Summary>();
    while (losses.length < steps) {
      losses.push(await trainStep(state, batch));
      if (losses.length === expected.change_after) {
        const weights = await read(named, ({ value }) => value);
        change = summaries(weights.map(([name, w], i) => [name, w.map((x, k) => x - start[i][1][k])]));
      }
    }
    return { losses, gradients, change };
  } finally {
    model.dispose();
    optimizer.dispose();
  }
}

type NamedNumbers = readonly (readonly [name: string, numbers: Float64Array])[];

async function read(
  named: readonly (readonly [string, Parameter])[],
  tensorOf: (parameter: Parameter) => tf.Tensor | null,
): Promise<NamedNumbers> {
  return Promise.all(
    named.map(async ([name, parameter]) => {
      const tensor = tensorOf(parameter);
      return [
        name,
        tensor ? Float64Array.from(await tensor.data()) : new Float64Array(parameter.size),
      ] as const;
    }),
  );
}

function summaries(tensors: NamedNumbers): Map<string, Summary> {
  return new Map(
    tensors.map(([name, numbers], index) => {
      const vector = uniform(PRODUCTS + index, numbers.length);
      const norm = Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0));
      return [name, [norm, numbers.reduce((sum, x, i) => sum + x * vector[i], 0)]];
    }),
  );
}

/** Whether an engine computed another number than PyTorch. */
export function isWrong({ kind, error }: Comparison): boolean {
  return error > STEP_TOLERANCES[kind];
}

/** Compares a run with what PyTorch computed. */
export function compareSteps(run: StepsRun, expected: ExpectedSteps): Comparison[] {
  return [
    ...expected.losses.flatMap((terms, step) =>
      Object.entries(terms).map(
        ([name, value]): Comparison => ({
          name: `${name} of step ${step + 1}`,
          kind: 'losses',
          error: relative(
            name === 'total' ? run.losses[step].total : run.losses[step].terms.get(name),
            value,
          ),
        }),
      ),
    ),
    ...expected.grad_norms.map(
      (norm, step): Comparison => ({
        name: `norm of all gradients of step ${step + 1}`,
        kind: 'gradient norms',
        error: relative(run.losses[step].gradNorm, norm),
      }),
    ),
    ...compareTensors('gradients', run.gradients, expected.gradients),
    ...compareTensors('weights', run.change, expected.change),
  ];
}

function compareTensors(
  kind: Comparison['kind'],
  actual: ReadonlyMap<string, Summary>,
  { values }: Summaries,
): Comparison[] {
  return Object.entries(values).map(([name, [norm, product]]) => {
    const [actualNorm, actualProduct] = actual.get(name) ?? [Number.NaN, Number.NaN];
    // The product of a tensor with a vector of random numbers has about this size.
    const along = Math.abs(actualProduct - product) / (norm * DEVIATION);
    return { name, kind, error: finite(Math.max(relative(actualNorm, norm), along)) };
  });
}

function relative(actual: number | undefined, expected: number): number {
  return finite(Math.abs((actual ?? Number.NaN) - expected) / Math.abs(expected));
}

function finite(error: number): number {
  return Number.isFinite(error) ? error : Number.POSITIVE_INFINITY;
}

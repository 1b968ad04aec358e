/** @file The training steps as PyTorch computed them, in double precision; tools/engine_check/pytorch_step.py wrote them. */
import { readFileSync } from 'node:fs';
import type { ClipsInput } from './formula.js';

/** Norm of a tensor, and its product with the vector `uniform(PRODUCTS + index of the parameter)`. */
export type Summary = readonly [norm: number, product: number];

/** First stream of the vectors that tensors are multiplied with. */
export const PRODUCTS = 1000;

/** Summaries by the names of the parameters. */
export interface Summaries {
  readonly values: Readonly<Record<string, Summary>>;
  /** Parameters whose tensor is nothing but rounding. */
  readonly left_out: readonly string[];
}

/** The content of pytorch_step.json. */
export interface ExpectedSteps extends Omit<ClipsInput, 'frames'> {
  /** Version of PyTorch. */
  readonly torch: string;
  /** Configuration of the model and the optimizer. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** `total` and the weighted terms of each step. */
  readonly losses: readonly Readonly<Record<string, number>>[];
  /** L2 norm of all gradients together in each step. */
  readonly grad_norms: readonly number[];
  /** Gradients of the first step. */
  readonly gradients: Summaries;
  /** Steps after which `change` was taken: new weights minus initial ones. */
  readonly change_after: number;
  readonly change: Summaries;
}

export function expectedSteps(): ExpectedSteps {
  return JSON.parse(readFileSync(new URL('pytorch_step.json', import.meta.url), 'utf8'));
}

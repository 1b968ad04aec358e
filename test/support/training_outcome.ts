/** @file What a training run leaves, to compare it with another one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { elementsOf, isHostTensor } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { readJsonLines } from './json_lines.js';

interface MetricsLine {
  readonly loss: number;
  readonly grad_norm: number;
  readonly lr: readonly number[];
  readonly losses: Readonly<Record<string, number>>;
}

export interface Outcome {
  /** Loss, gradient norm and learning rates of each iteration. */
  readonly metrics: readonly (readonly number[])[];
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Empty if the run made none. */
  readonly evaluations: readonly unknown[];
}

/** Reads the files of a run in its OUTPUT_DIR. */
export function outcomeOf(path: string): Outcome {
  const evaluations = join(path, 'evaluations.jsonl');
  const content = readPth(join(path, 'model_final.pth')) as Map<string, unknown>;
  const weights = new Map<string, Float32Array>();
  for (const [name, tensor] of content.get('model') as Map<string, unknown>)
    if (isHostTensor(tensor)) weights.set(name, Float32Array.from(elementsOf(tensor), Number));
  return {
    metrics: readJsonLines<MetricsLine>(join(path, 'metrics.jsonl')).map(
      ({ loss, grad_norm, lr, losses }) => [loss, grad_norm, ...lr, ...Object.values(losses)],
    ),
    weights,
    evaluations: (existsSync(evaluations) ? readJsonLines<Record<string, unknown>>(evaluations) : []).map(
      ({ iteration, mAP, per_class }) => [iteration, mAP, per_class],
    ),
  };
}

/** ‖a − b‖ / ‖b‖ */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [distance, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    distance += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(distance / (norm || 1));
}

/** Expects the same numbers within rounding. `limits` are the largest relative differences. */
export function expectClose(
  actual: Outcome,
  expected: Outcome,
  limits: { readonly gradNorm: number; readonly weights: number } = { gradNorm: 1e-5, weights: 1e-4 },
): void {
  expect(actual.metrics).toHaveLength(expected.metrics.length);
  for (const [i, [loss, norm, ...rest]] of actual.metrics.entries()) {
    const [wantedLoss, wantedNorm, ...wanted] = expected.metrics[i];
    const where = `iteration ${i + 1}`;
    expect(difference([loss, ...rest], [wantedLoss, ...wanted]), where).toBeLessThan(1e-5);
    expect(difference([norm], [wantedNorm]), `gradient norm of ${where}`).toBeLessThan(limits.gradNorm);
  }
  for (const [name, weight] of expected.weights) {
    // The bias of attention's keys has no effect: its gradient is rounding noise, which AdamW scales up.
    const part = name.endsWith('in_proj_bias') ? weight.length / 3 : weight.length;
    const found = actual.weights.get(name) ?? new Float32Array();
    expect(difference(found.subarray(0, part), weight.subarray(0, part)), name).toBeLessThan(limits.weights);
  }
  expect(actual.evaluations).toEqual(expected.evaluations);
}

/** @file Reading the reference data that PyTorch made, and comparing with it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { toFloat32 } from '../../src/formats/host_tensor.js';
import { readSafetensors } from '../../src/formats/safetensors/safetensors_reader.js';

/** The folder with the reference data: STMIXER_GOLDEN_DIR, or the copy in the repository. */
export const goldenDir = process.env.STMIXER_GOLDEN_DIR ?? fileURLToPath(new URL('data', import.meta.url));

/** A tensor of a golden file, as float32. */
export interface Golden {
  shape: number[];
  data: Float32Array;
}

export function goldenPath(...parts: string[]): string {
  return join(goldenDir, ...parts);
}

/** Whether the folder has this file: a folder of other cases may hold only some of the kinds. */
export function goldenExists(name: string): boolean {
  return existsSync(goldenPath(name));
}

// biome-ignore lint/suspicious/noExplicitAny: every golden file has a structure of its own
export function goldenJson(name: string): any {
  return JSON.parse(readFileSync(goldenPath(name), 'utf8'));
}

export function goldenTensors(name: string): Map<string, Golden> {
  const tensors = new Map<string, Golden>();
  for (const [key, tensor] of readSafetensors(goldenPath(name))) {
    tensors.set(key, { shape: [...tensor.shape], data: toFloat32(tensor) });
  }
  return tensors;
}

/** ‖a − b‖ / ‖b‖ in double precision; where b is all zero, ‖a‖. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}

/** Relative tolerances of the project: forward values, gradients, weights after optimizer steps. */
export const FORWARD = 1e-5;
export const GRADIENT = 1e-4;
export const WEIGHTS = 1e-5;

/**
 * Asserts ‖actual − expected‖/‖expected‖ ≤ tolerance, or that no element is farther off than a few times the noise
 * floor, the pair [max |value|, max |float32 − float64|] of the reference.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
  noiseFloor?: readonly [number, number],
): void {
  const error = relativeError(actual, expected);
  if (error <= tolerance) return;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
  if (noiseFloor && largest <= 4 * noiseFloor[1]) return;
  expect.fail(
    `${what}: relative error ${error.toExponential(2)} > ${tolerance}, largest difference ${largest}`,
  );
}

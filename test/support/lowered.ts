/** @file Lowers one operation for the cuda engine and evaluates it on the host. */
import { expect } from 'vitest';
import { Builder } from '../../src/engine/cuda/ir/builder.js';
import type { View } from '../../src/engine/cuda/ir/tensor.js';
import { fusedKernels } from '../../src/engine/cuda/kernels/fused.js';
import type { Lowering, Policy } from '../../src/engine/cuda/kernels/lowering.js';
import type { Storage } from '../../src/engine/cuda/storage.js';
import { FUSED_KERNELS, type FusedKernelName } from '../../src/engine/kernel_contract.js';
import type { LazyDtype, ValueInfo } from '../../src/engine/lazy/value.js';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { Rng } from '../../src/util/random.js';
import { FORWARD, relativeError } from '../golden/golden.js';
import { Interpreter, type RunKernel } from './cuda_interpreter.js';

/** An operand in the storage in which the program gets it. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
  readonly storage?: Storage;
  readonly data: Float32Array | Int32Array;
}

export const FLOAT32: Policy = {
  precision: 'float32',
  isDeterministic: true,
  hasAlgorithm: () => true,
  findPlan: () => null,
};
export const BFLOAT16: Policy = { ...FLOAT32, precision: 'bfloat16' };

/** Random numbers between -1 and 1; the same for the same seed. */
export function uniform(shape: readonly number[], seed: number): Operand {
  const rng = new Rng(seed);
  const data = Float32Array.from({ length: sizeOf(shape) }, () => rng.uniformBetween(-1, 1));
  return { shape, dtype: 'float32', data };
}

/** Random integers of [low, high). */
export function integers(
  shape: readonly number[],
  seed: number,
  [low, high]: readonly [number, number],
): Operand {
  const rng = new Rng(seed);
  const data = Int32Array.from({ length: sizeOf(shape) }, () => Math.floor(rng.uniformBetween(low, high)));
  return { shape, dtype: 'int32', data };
}

/** The operand as a tensor of the current engine. */
export const tensorOf = ({ data, shape, dtype }: Operand) => tf.tensor(data, [...shape], dtype);

export interface LoweredCase {
  readonly lower: Lowering;
  readonly operands: readonly Operand[];
  readonly attributes?: object;
  readonly outputs: readonly ValueInfo[];
}

/** What an operation becomes: its results, and how to evaluate them. */
export interface Lowered {
  readonly builder: Builder;
  readonly results: readonly View[];
  /** The elements of each result. */
  values(runKernel?: RunKernel): Float64Array[];
}

/** Lowers an operation. */
export function lower(
  { lower: lowering, operands, attributes = {}, outputs }: LoweredCase,
  policy: Policy,
): Lowered {
  const builder = new Builder();
  const inputs = operands.map((operand, i) => builder.input(i, operand));
  const node = { op: 'Test', attributes, inputs: [], outputs };
  const made = lowering(builder, inputs, node, policy);
  const results = Array.isArray(made) ? (made as readonly View[]) : [made as View];
  return {
    builder,
    results,
    values: (runKernel) => {
      const data = operands.map((operand) => operand.data);
      const interpreter = new Interpreter(builder, data, runKernel);
      return results.map((view) => interpreter.read(view));
    },
  };
}

/** Lowers a fused kernel. Operands that are undefined are missing. */
export function lowerFused(
  name: FusedKernelName,
  inputs: Readonly<Record<string, Operand | undefined>>,
  attributes: object,
  policy: Policy = FLOAT32,
): Lowered & { readonly outputs: readonly ValueInfo[] } {
  const kernel = fusedKernels.find((fused) => fused.name === name);
  if (!kernel) throw new Error(`there is no fused kernel ${name}`);
  const names = Object.keys(FUSED_KERNELS[name]);
  const missing = names.filter((input) => !inputs[input]);
  const given = Object.fromEntries(names.flatMap((input) => (inputs[input] ? [[input, inputs[input]]] : [])));
  const outputs = (kernel.results as (...args: unknown[]) => readonly ValueInfo[])(given, attributes);
  const lowered = lower(
    {
      lower: kernel.lower,
      operands: names.flatMap((input) => inputs[input] ?? []),
      attributes: missing.length > 0 ? { ...attributes, missing } : attributes,
      outputs,
    },
    policy,
  );
  return { ...lowered, outputs };
}

/** The value of a function, and the gradients of the inputs for a gradient of the value. */
export function reference(
  inputs: readonly Operand[],
  dy: Operand | null,
  compute: (...inputs: tf.Tensor[]) => tf.Tensor,
): Float32Array[] {
  return tf.tidy(() => {
    const tensors = inputs.map(tensorOf);
    const y = compute(...tensors);
    const grads = dy ? tf.grads(compute)(tensors, tensorOf(dy).reshape(y.shape)) : [];
    return [y, ...grads].map((tensor) => tensor.dataSync().slice() as Float32Array);
  });
}

/** Asserts that each result is close to the expected one, relative to its norm. */
export function expectClose(
  actual: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  bound = FORWARD,
) {
  expect(actual.length).toBe(expected.length);
  for (const [i, values] of actual.entries())
    expect(relativeError(values, expected[i]), `result ${i}`).toBeLessThan(bound);
}

/** Rounding of operands and results to bfloat16. */
export const BFLOAT16_ERROR = 2 ** -7;

/** @file Checks gradients against finite differences of the forward pass, without any reference values. */
import { expect } from 'vitest';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import type { Module, Parameter } from '../../src/nn/module.js';
import { backward } from '../../src/nn/tape.js';
import { Rng } from '../../src/util/random.js';

/** An input on the host. */
export interface Values {
  shape: number[];
  data: Float32Array;
}

/** Host values of a shape: given ones, or what `next` yields one by one. */
export function values(shape: number[], next: ArrayLike<number> | (() => number)): Values {
  const data = typeof next === 'function' ? Float32Array.from({ length: sizeOf(shape) }, next) : next;
  return { shape, data: Float32Array.from(data) };
}

/** Standard normal values of a shape. */
export function normals(shape: number[], rng: Rng, scale = 1): Values {
  return values(shape, () => scale * rng.normal());
}

/** Gives every parameter normal values, so that nothing is zero by initialisation. */
export function randomize(module: Module, rng: Rng, scale = 0.5): void {
  for (const parameter of module.parameters()) {
    parameter.set(normals([...parameter.shape], rng, scale).data);
  }
}

export interface GradientCheck {
  /** Weights that `f` uses; their gradients are checked too. */
  parameters?: readonly Parameter[];
  /** Step along a direction of standard normal elements; keep every kink of `f` farther away than twice this. */
  step?: number;
  /** Largest error in units of the typical derivative along a direction. */
  tolerance?: number;
  /** Inputs, by index, that must get a zero gradient or none. */
  constant?: readonly number[];
}

/**
 * Compares, for every input and every parameter, derivatives along random directions of a random weighting of f's
 * output with the same derivatives from the tape.
 *
 * Five values of f make a difference quotient whose truncation error is of order step⁴. A float32 function value is
 * off by about 1e-7 of its size, so the quotient by some 1e-7/step: 1e-5 at the default step. The default tolerance
 * leaves room for a hundred such errors, and any wrong factor or term is far beyond it.
 */
export function expectGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
  inputs: readonly Values[],
  { parameters = [], step = 0.01, tolerance = 1e-3, constant = [] }: GradientCheck = {},
): void {
  const rng = new Rng(20);
  const weights = parameters.map((parameter) => ({
    shape: [...parameter.shape],
    data: Float32Array.from(parameter.value.dataSync() as Float32Array),
  }));
  const slots = [...inputs, ...weights];
  const flatten = (outputs: tf.Tensor | tf.Tensor[]) =>
    tf.concat((Array.isArray(outputs) ? outputs : [outputs]).map((y) => y.reshape([-1])));
  const evaluate = (changed: number, data: Float32Array) => {
    if (changed >= inputs.length) parameters[changed - inputs.length].set(data);
    const y = tf.tidy(() =>
      flatten(f(...inputs.map((x, i) => tf.tensor(i === changed ? data : x.data, x.shape)))),
    );
    const result = y.dataSync() as Float32Array;
    y.dispose();
    if (changed >= inputs.length) parameters[changed - inputs.length].set(slots[changed].data);
    return result;
  };

  const base = evaluate(-1, new Float32Array());
  expect(base.every(Number.isFinite), 'finite outputs').toBe(true);
  const upstream = Float32Array.from(base, () => rng.normal());
  const loss = (changed: number, data: Float32Array) => {
    // The change of the output, not the output, is summed: digits that stay the same cancel first.
    const y = evaluate(changed, data);
    return y.reduce((sum, value, i) => sum + (value - base[i]) * upstream[i], 0);
  };

  const xs = inputs.map((x) => tf.tensor(x.data, x.shape));
  const variables = [...xs, ...parameters.map((parameter) => parameter.value)];
  const { value, grads } = backward(
    () =>
      flatten(f(...xs))
        .mul(tf.tensor1d(upstream))
        .sum(),
    variables,
  );
  const gradients = grads.map((gradient) => gradient && Float32Array.from(gradient.dataSync()));
  for (const [i, gradient] of grads.entries()) {
    if (gradient) expect(gradient.shape, `shape of gradient ${i}`).toEqual(slots[i].shape);
  }
  tf.dispose([value, ...xs, ...grads.filter((gradient) => gradient !== null)]);

  for (const [i, { data }] of slots.entries()) {
    const name = i < inputs.length ? `input ${i}` : `parameter ${i - inputs.length}`;
    const gradient = gradients[i];
    if (constant.includes(i)) {
      expect(gradient?.every((value) => value === 0) ?? true, `${name} is a constant`).toBe(true);
      continue;
    }
    if (!gradient) expect.fail(`${name} has no gradient`);
    const typical = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    for (let n = 0; n < 5; n++) {
      const direction = Float32Array.from(data, () => rng.normal());
      const at = (h: number) =>
        loss(
          i,
          data.map((x, k) => x + h * direction[k]),
        );
      const measured = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
      const expected: number = direction.reduce((sum, d, k) => sum + d * gradient[k], 0);
      const error = Math.abs(measured - expected) / Math.max(typical, 1e-6);
      if (!(error <= tolerance)) {
        expect.fail(
          `${name}: derivative ${measured} by differences, ${expected} by the tape (off by ${error})`,
        );
      }
    }
  }
}

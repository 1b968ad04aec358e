/** @file Initial values of weights, as PyTorch's modules and torch.nn.init compute them. */
import { sizeOf } from '../formats/host_tensor.js';
import type { Initializer } from './module.js';

export const zeros: Initializer = () => {};

export const ones: Initializer = (data) => {
  data.fill(1);
};

/** The same value everywhere. */
export function constant(value: number): Initializer {
  return (data) => {
    data.fill(value);
  };
}

/** U(low, high). */
export function uniform(low: number, high: number): Initializer {
  return (data, _shape, rng) => {
    const range = high - low;
    for (let i = 0; i < data.length; i++) data[i] = low + range * rng.uniform();
  };
}

/** N(0, 1). */
export const normal: Initializer = (data, _shape, rng) => {
  for (let i = 0; i < data.length; i++) data[i] = rng.normal();
};

/** U(±√(6/(fan_in + fan_out))) for a weight [out, in, …kernel] (torch.nn.init.xavier_uniform_). */
export const xavierUniform: Initializer = (data, shape, rng) => {
  const kernel = sizeOf(shape.slice(2));
  const bound = Math.sqrt(6 / ((shape[0] + shape[1]) * kernel));
  uniform(-bound, bound)(data, shape, rng);
};

/** U(±1/√fanIn), the initial weights and biases of torch.nn.Linear and of the convolutions. */
export function fanInUniform(fanIn: number): Initializer {
  const bound = 1 / Math.sqrt(fanIn);
  return uniform(-bound, bound);
}

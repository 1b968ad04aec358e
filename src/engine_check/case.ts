/** @file The cases of a kernel family: an operation, its inputs, and its expected results. */
import { tf } from '../engine/tfjs.js';
import { sizeOf } from '../formats/host_tensor.js';
import { Tape } from '../nn/tape.js';
import { Rng } from '../util/random.js';

type Dtype = 'float32' | 'int32' | 'bool';
type Content = Float32Array | Int32Array | Uint8Array;

/** An input: random numbers from `low` to below `high`, or given ones. */
export interface Input {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly low: number;
  readonly high: number;
  readonly values?: readonly number[];
}

/** An operation on small inputs. */
export interface Case {
  readonly name: string;
  readonly inputs: readonly Input[];
  /** The operation. It returns one tensor if there are `gradients`. */
  compute(...inputs: tf.Tensor[]): tf.Tensor | tf.Tensor[];
  /** Inputs, by index, whose gradients are results too, after the value. */
  readonly gradients?: readonly number[];
  /**
   * Computes the results in double precision. The gradients start from `dy`, the gradient of the value. Without this function,
   * the `cpu` engine computes the results.
   */
  expected?(inputs: readonly Float64Array[], dy: Float64Array): readonly ArrayLike<number>[];
}

/** How far results may be from the expected ones. */
export interface Tolerance {
  /** The largest ‖actual − expected‖ / ‖expected‖. */
  readonly norm: number;
  /** The largest difference of two numbers, relative to the largest expected number. */
  readonly largest: number;
}

/** Cases of kernels that fail in the same ways. */
export interface Family {
  readonly name: string;
  readonly tolerance: Tolerance;
  /** Why the tolerance is what it is. */
  readonly reason: string;
  readonly cases: readonly Case[];
}

/** The tolerance for operations that do not round, such as copies and comparisons. */
export const EXACT: Tolerance = { norm: 0, largest: 0 };

/** A result, read from an engine. */
export interface Result {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: ArrayLike<number>;
}

/** Random numbers of a shape. */
export function floats(shape: readonly number[], low = -1, high = 1): Input {
  return { shape, dtype: 'float32', low, high };
}

/** Random whole numbers from `low` to below `high`. */
export function ints(shape: readonly number[], low: number, high: number): Input {
  return { shape, dtype: 'int32', low, high };
}

/** Random truth values. */
export function bools(shape: readonly number[]): Input {
  return { shape, dtype: 'bool', low: 0, high: 2 };
}

/** The given numbers, by default in one row. */
export function given(values: readonly number[], shape: readonly number[] = [values.length]): Input {
  return { shape, dtype: 'float32', low: 0, high: 0, values };
}

/** Makes the values of the inputs, which depend only on the names of family and case and on the position of the input. */
export function contentsOf(family: string, { name, inputs }: Case): Content[] {
  return inputs.map(({ shape, dtype, low, high, values }, i) => {
    if (values) return Float32Array.from(values);
    const rng = Rng.forName(i, `${family}: ${name}`);
    const count = { length: sizeOf(shape) };
    const number = () => rng.uniformBetween(low, high);
    if (dtype === 'float32') return Float32Array.from(count, number);
    const whole = () => Math.floor(number());
    return dtype === 'int32' ? Int32Array.from(count, whole) : Uint8Array.from(count, whole);
  });
}

/** The gradient of a value of `size` elements, from which the gradients of the inputs start. */
export function upstream(size: number): Float32Array {
  const rng = new Rng(17);
  return Float32Array.from({ length: size }, () => rng.uniformBetween(-1, 1));
}

/** Computes a case on the current engine. */
export async function compute(test: Case, contents: readonly Content[]): Promise<Result[]> {
  const inputs = test.inputs.map(({ shape, dtype }, i) => tf.tensor(contents[i], [...shape], dtype));
  let outputs: tf.Tensor[] = [];
  try {
    outputs = test.gradients
      ? valueAndGradients(test, inputs)
      : tf.tidy(() => [test.compute(...inputs)].flat());
    const data = await Promise.all(outputs.map((output) => output.data()));
    // Some engines return their own memory.
    return outputs.map(({ shape, dtype }, i) => ({ shape, dtype, data: data[i].slice() }));
  } finally {
    tf.dispose([...inputs, ...outputs]);
  }
}

function valueAndGradients({ compute, gradients = [] }: Case, inputs: readonly tf.Tensor[]): tf.Tensor[] {
  const tape = new Tape(() => compute(...inputs) as tf.Tensor);
  const value = tape.value.clone();
  const dy = tf.tensor(upstream(value.size), value.shape);
  const found = tape.backward(
    dy,
    gradients.map((i) => inputs[i]),
  );
  dy.dispose();
  return [
    value,
    ...found.map((gradient, i) => {
      if (!gradient) throw new Error(`there is no gradient of input ${gradients[i]}`);
      return gradient;
    }),
  ];
}

/** @file Runs the lowering of one operation on the host, and the same operation on tfjs's plain backend. */
import { beforeAll, expect } from 'vitest';
import { Builder } from '../../src/engine/cuda/ir/builder.js';
import type { View } from '../../src/engine/cuda/ir/tensor.js';
import { tfjsLowerings } from '../../src/engine/cuda/kernels/index.js';
import type { Policy } from '../../src/engine/cuda/kernels/lowering.js';
import type { Storage } from '../../src/engine/cuda/storage.js';
import type { GraphNode } from '../../src/engine/lazy/compiler.js';
import type { LazyDtype } from '../../src/engine/lazy/value.js';
import type { KernelTable, RecordedKernel } from '../../src/engine/record/kernel.js';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { Rng } from '../../src/util/random.js';
import { Interpreter } from './cuda_interpreter.js';

export interface Given {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
  readonly data: readonly number[];
  readonly storage?: Storage;
}

/** The operands of a kernel by their names, or a list of them. */
export type Operands = Readonly<Record<string, Given>> | readonly Given[];

export interface Result {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: readonly number[];
}

export const floats = (shape: readonly number[], data: readonly number[]): Given => ({
  shape,
  dtype: 'float32',
  data: [...Float32Array.from(data)],
});
export const ints = (shape: readonly number[], data: readonly number[]): Given => ({
  shape,
  dtype: 'int32',
  data,
});
export const bools = (shape: readonly number[], data: readonly number[]): Given => ({
  shape,
  dtype: 'bool',
  data,
});

/** Random floats, small integers or booleans; the same for the same seed. */
export function random(shape: readonly number[], dtype: LazyDtype = 'float32', seed = 1): Given {
  const rng = new Rng(seed);
  const draw = () => (dtype === 'float32' ? rng.normal() : rng.int(dtype === 'bool' ? 2 : 9));
  const data = Array.from({ length: sizeOf(shape) }, draw);
  return dtype === 'float32' ? floats(shape, data) : { shape, dtype, data };
}

const POLICY: Policy = {
  precision: 'float32',
  isDeterministic: true,
  hasAlgorithm: () => false,
  findPlan: () => null,
};

export interface Lowered {
  readonly builder: Builder;
  readonly views: readonly View[];
  /** Reads a result. */
  readonly read: (view: View) => number[];
  readonly node: GraphNode;
  /** The shapes that tfjs sees. */
  readonly shapes: readonly (readonly number[])[];
}

/** Records an operation and lowers it. */
export function lower(kernels: KernelTable, name: string, given: Operands, attributes = {}): Lowered {
  const kernel = kernels[name] as unknown as RecordedKernel<unknown, object> | undefined;
  const lowering = tfjsLowerings[name];
  if (!kernel || !lowering) throw new Error(`${name} is not recorded, or not lowered`);
  const list = Object.values(given) as Given[];
  const infos = list.map(({ shape, dtype }, index) => ({ shape: [...shape], dtype, dataId: { index } }));
  const inputs = Array.isArray(given)
    ? infos
    : Object.fromEntries(Object.keys(given).map((key, i) => [key, infos[i]]));
  const call = kernel.record(inputs, attributes);
  const builder = new Builder();
  const sources = call.inputs.map(({ dataId }) => (dataId as { index: number }).index);
  const operands = call.inputs.map(({ shape }, i) => {
    const { dtype, storage } = list[sources[i]];
    return builder.input(i, { shape, dtype, storage });
  });
  const node: GraphNode = {
    op: name,
    attributes: call.attributes ?? {},
    inputs: operands.map(({ shape }, input) => ({ source: { input }, shape })),
    outputs: call.outputs.map(({ shape, dtype }) => ({ shape, dtype })),
  };
  builder.label = name;
  const views = [lowering(builder, operands, node, POLICY)].flat();
  const interpreter = new Interpreter(
    builder,
    sources.map((source) => list[source].data),
  );
  return {
    builder,
    views,
    read: (view) => Array.from(interpreter.read(view)),
    node,
    shapes: call.outputs.map(({ shape, view }) => view ?? shape),
  };
}

/** The results of the lowering. */
export function resultsOf({ views, read, node, shapes }: Lowered): Result[] {
  return views.map((view, i) => {
    expect(view.tensor.dtype).toBe(node.outputs[i].dtype);
    return { shape: shapes[i], dtype: node.outputs[i].dtype, data: read(view) };
  });
}

/** The results of tfjs's plain backend, which must be the current one. */
export function expectedOf(name: string, given: Operands, attributes = {}): Result[] {
  expect(tf.getBackend()).toBe('cpu');
  return tf.tidy(() => {
    const tensorOf = ({ data, shape, dtype }: Given) => tf.tensor([...data], [...shape], dtype);
    const inputs = Array.isArray(given)
      ? given.map(tensorOf)
      : Object.fromEntries(Object.entries(given).map(([key, value]) => [key, tensorOf(value)]));
    const results = tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attributes);
    return [results as unknown as tf.Tensor]
      .flat()
      .map((x) => ({ shape: x.shape, dtype: x.dtype, data: Array.from(x.dataSync()) }));
  });
}

/** Asserts that numbers are equal up to `tolerance` in units of their size, and of 1 at least. NaN equals NaN. */
export function expectClose(actual: Result, expected: Result, tolerance: number): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.data.length).toBe(expected.data.length);
  for (const [i, x] of expected.data.entries()) {
    const y = actual.data[i];
    const isClose = Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x));
    if (!isClose) expect.fail(`element ${i} is ${y} instead of ${x}`);
  }
}

/** Runs operations of a table and compares them with tfjs's plain backend, which it makes current before the tests of a file. */
export function operationTests(kernels: KernelTable, tolerance: number) {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });

  const run = (name: string, given: Operands, attributes = {}): Result[] =>
    resultsOf(lower(kernels, name, given, attributes));

  /** Asserts that all results are equal up to the tolerance. */
  function check(name: string, given: Operands, attributes = {}): void {
    const expected = expectedOf(name, given, attributes);
    const results = run(name, given, attributes);
    expect(results.length).toBe(expected.length);
    for (const [i, result] of results.entries()) expectClose(result, expected[i], tolerance);
  }
  return { run, check };
}
